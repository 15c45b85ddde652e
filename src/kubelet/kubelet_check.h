/* kubelet/kubelet_check.h: the parser of a probe's HTTP answer, for its tests. */
#ifndef KUBELET_KUBELET_CHECK_H
#define KUBELET_KUBELET_CHECK_H

#include "base/span.h"

/* Status code of "HTTP/1.1 200 OK\r\n..."; -1 when malformed. */
int kubelet_check_http_status(struct span head);

#endif
