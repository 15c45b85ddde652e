/* Who asks: whom the certificate or the socket names. */
#include "apiserver/front.h"
#include "base/check.h"

bool front_is_root_socket(const struct http_exchange *x)
{
    return span_eq(http_client_name(x), SPAN("root-socket")) &&
           span_starts(span_cstr(http_peer(x)), SPAN("unix"));
}

/* Sets op.user, op.groups and, for tokens, op.user_uid and op.user_extra. -1: it has answered. */
static int authenticate(struct front *f)
{
    struct api_op *op = &f->op;
    op->user = http_client_name(f->x);
    op->groups = front_is_root_socket(f->x) ? SPAN("system:masters") : http_client_orgs(f->x);
    return 0;
}

int front_identify(struct front *f)
{
    return authenticate(f) ? -1 : front_impersonate(f);
}
