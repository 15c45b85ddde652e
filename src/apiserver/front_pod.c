/* Streams of a pod: log, exec, attach. Chooses the container and refuses what cannot work; the rest
 * is the node's. */
#include "apiserver/front.h"

void front_pod_stream(struct front *f)
{
    struct err e = {.reason = ERR_UNAVAILABLE,
                    .message = SPAN("this server has no connection to a node")};
    front_fail(f, &e);
}
