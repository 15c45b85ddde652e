/* access/access_text.c: Kubernetes' sentence about what somebody may not do. */
#include "access/access.h"
#include "base/check.h"

struct span access_cannot(struct arena *a, const struct access_request *r)
{
    assert(r);
    assert(r->is_resource || r->resource.n == 0);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&out, "User ");
    strbuf_put_quoted(&out, r->user.name);
    strbuf_printf(&out, " cannot %.*s ", SPAN_ARG(r->verb));
    if (!r->is_resource) {
        strbuf_puts(&out, "path ");
        strbuf_put_quoted(&out, r->path);
        return arena_dup(a, strbuf_span(&out));
    }
    strbuf_puts(&out, "resource ");
    strbuf_put_quoted(&out, r->subresource.n ? arena_printf(a, "%.*s/%.*s", SPAN_ARG(r->resource),
                                                            SPAN_ARG(r->subresource))
                                             : r->resource);
    strbuf_puts(&out, " in API group ");
    strbuf_put_quoted(&out, r->group);
    if (r->ns.n) {
        strbuf_puts(&out, " in the namespace ");
        strbuf_put_quoted(&out, r->ns);
    } else {
        strbuf_puts(&out, " at the cluster scope");
    }
    return arena_dup(a, strbuf_span(&out));
}
