/* kubelet/kubelet_token.c: tokens of a pod's account, for its projected volumes. The API is asked
 * for one when a volume first wants it, and again by a timer when four fifths of its life, or a
 * day, are over; when that fails the old one stays and the question is put again, less and less
 * often. Nothing is kept on disk: an agent that starts again asks for new ones. */
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "client/client_body.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_volumes_priv.h"
#include "schema/status.h"

enum {
    DAY_MS = 24 * 3600 * 1000,
    JITTER_MS = 10 * 1000,
    RETRY_MS = 1000,
    RETRY_MAX_MS = 60 * 1000
};

struct kubelet_token {
    struct kubelet_pod *pod;
    struct span audience; /* owned; empty: the API server */
    int64_t seconds;      /* as the volume wants it */
    struct span text;     /* owned; empty: there is none yet */
    struct span why;      /* owned: the last question failed; else empty */
    struct env_timer timer;
    int64_t retry_ms;
    bool asking;
};

static void ask(struct kubelet_token *t);

static void on_timer(struct env_timer *timer)
{
    ask(CONTAINER_OF(timer, struct kubelet_token, timer));
}

/* The volume is written again, or for the first time. */
static void take(struct kubelet_token *t, struct object *reply)
{
    struct kubelet_pod *pod = t->pod;
    const yyjson_val *root = object_root(reply);
    int64_t life_ms = json_get_int(json_get(root, "spec"), "expirationSeconds", t->seconds) * 1000;
    int64_t delay_ms = life_ms / 5 * 4 < DAY_MS ? life_ms / 5 * 4 : DAY_MS;
    kubelet_keep(&t->text, json_get_str(json_get(root, "status"), "token"));
    kubelet_keep(&t->why, SPAN_NULL);
    t->retry_ms = 0;
    delay_ms -= (int64_t)(env_random_u64(pod->k->env) % JITTER_MS);
    env_timer_start(pod->k->env, &t->timer, delay_ms > RETRY_MS ? delay_ms : RETRY_MS, on_timer);
    pod->volumes_stale = true;
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct kubelet_token *t = data;
    struct kubelet_pod *pod = t->pod;
    assert(t->asking);
    t->asking = false;
    if (reply->err.reason == ERR_NONE && reply->object) {
        take(t, reply->object);
    } else {
        struct arena *a cleanup_arena = arena_new();
        kubelet_keep(&t->why,
                     arena_printf(a, "failed to fetch token: %.*s", SPAN_ARG(reply->err.message)));
        if (t->text.n && t->retry_ms == 0) { /* once */
            log_event(LOG_WARN, "pod_token_not_renewed", LOG_S("pod", pod->full_name),
                      LOG_S("reason", reply->err.message),
                      LOG_C("then", "the old one stays; asking again"));
        }
        t->retry_ms = t->retry_ms == 0                 ? RETRY_MS
                      : t->retry_ms * 2 < RETRY_MAX_MS ? t->retry_ms * 2
                                                       : RETRY_MAX_MS;
        env_timer_start(pod->k->env, &t->timer, t->retry_ms, on_timer);
    }
    kubelet_pod_poke(pod);
}

static struct json_shared *request_body(struct arena *a, const struct kubelet_token *t)
{
    struct client_body b =
        client_body_new(a, kubelet_kind("authentication.k8s.io", "TokenRequest"), SPAN_NULL);
    yyjson_mut_val *spec = client_body_obj(&b, "spec");
    if (t->audience.n) {
        yyjson_mut_val *list = yyjson_mut_arr(b.doc);
        (void)yyjson_mut_arr_append(list, json_new_str(b.doc, t->audience));
        json_put(b.doc, spec, "audiences", list);
    }
    json_put_int(b.doc, spec, "expirationSeconds", t->seconds);
    yyjson_mut_val *ref = json_mut_obj(b.doc, spec, "boundObjectRef");
    json_put_str(b.doc, ref, "kind", SPAN("Pod"));
    json_put_str(b.doc, ref, "apiVersion", SPAN("v1"));
    json_put_str(b.doc, ref, "name", t->pod->name);
    json_put_str(b.doc, ref, "uid", t->pod->uid);
    return client_body_tree(&b);
}

/* A pod whose containers have all ended needs none any more. */
static bool is_over(const struct kubelet_pod *pod)
{
    return !pod->object || status_pod_ended(object_root(pod->object));
}

static void ask(struct kubelet_token *t)
{
    struct kubelet_pod *pod = t->pod;
    assert(!t->asking);
    assert(!env_timer_armed(&t->timer));
    if (is_over(pod)) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    struct client_request q = {CLIENT_REQUEST_INIT,
                               .verb = CLIENT_CREATE,
                               .kind = kubelet_kind("", "ServiceAccount"),
                               .ns = pod->ns,
                               .name = json_get_str(kubelet_pod_spec(pod), "serviceAccountName"),
                               .subresource = SPAN("token"),
                               .tree = request_body(a, t),
                               .field_manager = SPAN("kubelet")};
    t->asking = true;
    client_do(pod->k->client, &q, on_reply, t);
}

struct span kubelet_token(struct kubelet_pod *pod, struct span audience, int64_t seconds,
                          struct span *ret_why)
{
    if (pod->k->options.no_files) {
        return SPAN("-"); /* nobody could read it */
    }
    struct kubelet_token *t = NULL;
    for (size_t i = 0; i < pod->tokens.n && !t; i++) {
        struct kubelet_token *it = pod->tokens.at[i];
        t = it->seconds == seconds && span_eq(it->audience, audience) ? it : NULL;
    }
    if (!t) {
        t = MEM_NEW(struct kubelet_token);
        t->pod = pod;
        t->seconds = seconds;
        kubelet_keep(&t->audience, audience);
        VEC_PUSH(&pod->tokens, t);
        ask(t);
    }
    if (t->text.n == 0) {
        pod->refs_pending |= t->why.n == 0;
        *ret_why = t->why.n ? t->why : SPAN("the token of the account is not here yet");
    }
    return t->text;
}

void kubelet_tokens_drop(struct kubelet_pod *pod)
{
    for (size_t i = 0; i < pod->tokens.n; i++) {
        struct kubelet_token *t = pod->tokens.at[i];
        env_timer_stop(pod->k->env, &t->timer);
        client_cancel(pod->k->client, t);
        kubelet_keep(&t->audience, SPAN_NULL);
        kubelet_keep(&t->text, SPAN_NULL);
        kubelet_keep(&t->why, SPAN_NULL);
        free(t);
    }
    VEC_DONE(&pod->tokens);
}

/* The user that every container runs as, when the pod says so and it is one; else -1. */
int64_t kubelet_pod_user(const struct kubelet_pod *pod)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const yyjson_val *spec = kubelet_pod_spec(pod);
    int64_t of_pod = json_get_int(json_get(spec, "securityContext"), "runAsUser", -1), user = -1;
    bool first = true;
    for (size_t i = 0; i < 2; i++) {
        JSON_EACH(it, json_get(spec, lists[i]))
        {
            int64_t one = json_get_int(json_get(it.val, "securityContext"), "runAsUser", of_pod);
            if (one < 0 || (!first && one != user)) {
                return -1;
            }
            user = one;
            first = false;
        }
    }
    return user;
}
