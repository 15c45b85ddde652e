/* Who asks: whom the control socket names, else the certificate, else the token; without any of
 * them somebody anonymous. */
#include "apiserver/bearer.h"
#include "base/check.h"
#include "codec/base64.h"
#include "front/front_priv.h"

bool front_is_root_socket(const struct http_exchange *x)
{
    assert(x);
    return span_eq(http_client_name(x), SPAN("root-socket")) &&
           span_starts(span_cstr(http_peer(x)), SPAN("unix"));
}

/* Of `Authorization: Bearer TOKEN`; empty: there is none. */
static struct span header_token(const struct front *f)
{
    struct span rest = span_trim(http_header(f->x, "authorization"));
    struct span scheme = span_cut(&rest, ' ');
    return span_eq_nocase(scheme, SPAN("bearer")) ? span_cut(&rest, ' ') : SPAN_NULL;
}

/* A browser cannot set headers for a WebSocket: there the token is one of the protocols. */
static struct span protocol_token(const struct front *f)
{
    struct span rest = http_header_all(f->x, "sec-websocket-protocol"), token = SPAN_NULL;
    const struct span prefix = SPAN("base64url.bearer.authorization.k8s.io.");
    while (rest.n) {
        struct span one = span_trim(span_cut(&rest, ','));
        if (span_starts(one, prefix) &&
            !base64url_decode(f->arena, span_from(one, prefix.n), &token)) {
            token = SPAN("?"); /* which is nobody's */
        }
    }
    return token;
}

static int take_token(struct front *f, struct span token)
{
    assert(token.n > 0);
    struct bearer b = bearer_find(f->server, f->arena, token, NULL, 0);
    if (!b.is_known) {
        struct err e = {.reason = ERR_UNAUTHORIZED, .message = SPAN("Unauthorized")};
        front_fail(f, &e);
        return -1;
    }
    f->op.user = b.name;
    f->op.user_uid = b.uid;
    f->op.user_extra = b.extra;
    f->op.groups = b.groups;
    return 0;
}

/* By the first of certificate and token; somebody without either is anonymous. */
static int authenticate(struct front *f)
{
    struct api_op *op = &f->op;
    struct span orgs = http_client_orgs(f->x);
    op->user = http_client_name(f->x);
    if (front_is_root_socket(f->x)) {
        op->groups = SPAN("system:masters\nsystem:authenticated");
        return 0;
    }
    if (op->user.n) {
        op->user_print = http_client_fingerprint(f->x);
        op->groups = arena_printf(f->arena, "%.*s%ssystem:authenticated", SPAN_ARG(orgs),
                                  orgs.n ? "\n" : "");
        return 0;
    }
    struct span token = header_token(f);
    token = token.n ? token : protocol_token(f);
    if (token.n) {
        return take_token(f, token);
    }
    op->user = SPAN(FRONT_ANONYMOUS);
    op->groups = SPAN("system:unauthenticated");
    return 0;
}

int front_identify(struct front *f)
{
    assert(f->x);
    return authenticate(f) ? -1 : front_impersonate(f);
}
