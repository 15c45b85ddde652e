/* berth kubeconfig USER [GROUP...]: access for somebody by a certificate of the cluster's own
 * authority. What they may do is said by roles. */
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "env/env_uv.h"
#include "main/data_dir.h"
#include "main/main.h"
#include "main/options.h"

/* What a certificate can name (X.509 allows 64 characters). NULL: fine. */
static const char *wrong_with(struct span name)
{
    if (name.n == 0 || name.n > LIMIT_CERTIFICATE_NAME_BYTES) {
        return "must have 1 to 64 bytes";
    }
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) {
            return "holds a control character";
        }
    }
    return NULL;
}

static int check_names(const struct options *o)
{
    if (o->arg_count == 0) {
        (void)fprintf(stderr, "berth kubeconfig: for whom? `berth kubeconfig jane dev ops` writes "
                              "the access of the user jane in the groups dev and ops\n");
        return -1;
    }
    if (o->arg_count > LIMIT_CERTIFICATE_GROUPS + 1) {
        (void)fprintf(stderr, "berth kubeconfig: %zu groups are too many; %d are allowed\n",
                      o->arg_count - 1, LIMIT_CERTIFICATE_GROUPS);
        return -1;
    }
    for (size_t i = 0; i < o->arg_count; i++) {
        const char *wrong = wrong_with(span_cstr(o->args[i]));
        if (wrong) {
            (void)fprintf(stderr, "berth kubeconfig: the %s \"%s\" %s; give another name\n",
                          i ? "group" : "user", o->args[i], wrong);
            return -1;
        }
    }
    return 0;
}

int cmd_kubeconfig(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    int code = options_parse(a, OPTIONS_COMMON | OPTIONS_KUBECONFIG, "kubeconfig", argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    if (check_names(&o)) {
        return 2;
    }
    struct span *groups = ARENA_ARRAY(a, struct span, o.arg_count);
    for (size_t i = 1; i < o.arg_count; i++) {
        groups[i - 1] = span_cstr(o.args[i]);
    }
    struct env *env = env_uv_new();
    int64_t now_ms = env_now_ms(env);
    env_uv_free(env);
    struct span text, why = SPAN_NULL;
    assert(o.arg_count > 0);
    if (data_dir_user(a, &o, span_cstr(o.args[0]), groups, o.arg_count - 1, now_ms, &text, &why)) {
        (void)fprintf(stderr, "berth kubeconfig: %.*s\n", SPAN_ARG(why));
        return 1;
    }
    (void)printf("%.*s", SPAN_ARG(text));
    return 0;
}
