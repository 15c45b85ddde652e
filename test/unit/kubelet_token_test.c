/* Tokens of a pod's account as files: written with the volume, renewed by a timer, kept when the
 * API has none. In virtual time, with real files. */
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/kubelet_util.h"
#include "test/kit/kubelet_kit.h"
#include "token/token.h"

#define DIR_OF "/var/run/secrets/kubernetes.io/serviceaccount"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static void start(struct kubelet_kit *k)
{
    const char *dir = kit_tmpdir();
    kk_start_files(k, span_cstr(dir));
    kk_create(k, "ConfigMap",
              "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
              "\"kube-root-ca.crt\"},\"data\":{\"ca.crt\":\"CA\"}}");
}

/* A volume t with a token for so many seconds, beside the one that admission adds. */
static void make_pod(struct kubelet_kit *k, int seconds, const char *more)
{
    kk_create(k, "Pod",
              kk_pod_json(k, "p", "", "\"volumeMounts\":[{\"name\":\"t\",\"mountPath\":\"/t\"}]",
                          arena_printf(k->arena,
                                       "\"volumes\":[{\"name\":\"t\",\"projected\":{\"sources\":[{"
                                       "\"serviceAccountToken\":{\"path\":\"vault\",\"audience\":"
                                       "\"vault\",\"expirationSeconds\":%d}}]}}]%s",
                                       seconds, more)
                              .p));
    kk_run(k, 3 * SECOND);
}

static struct span path_of(struct kubelet_kit *k, const char *volume, const char *file)
{
    return arena_printf(k->arena, "%.*s/pods/%.*s/volumes/%s/%s", SPAN_ARG(k->data_dir),
                        SPAN_ARG(kk_pod(k, "p", "metadata.uid")), volume, file);
}

static struct span text_of(struct kubelet_kit *k, const char *volume, const char *file)
{
    struct span text = SPAN_NULL;
    return kubelet_read_file(k->arena, path_of(k, volume, file).p, 65536, &text) == 0
               ? text
               : SPAN("(absent)");
}

static struct token_claims claims_of(struct kubelet_kit *k, struct span text)
{
    struct token_text t;
    struct token_claims c = {0};
    CHECK(token_split(k->arena, text, &t));
    CHECK(token_claims_parse(k->arena, t.payload, &c));
    return c;
}

TEST(a_pod_has_its_token_the_ca_and_the_namespace_in_one_place)
{
    struct kubelet_kit k;
    start(&k);
    make_pod(&k, 600, "");
    const char *volume = kk_pod(&k, "p", "spec.volumes.1.name").p;
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(&k, "p", "spec.containers.0.volumeMounts.1.mountPath"), DIR_OF);
    CHECK_SPAN(text_of(&k, volume, "ca.crt"), "CA");
    CHECK_SPAN(text_of(&k, volume, "namespace"), "default");
    struct token_claims c = claims_of(&k, text_of(&k, volume, "token"));
    CHECK_SPAN(c.subject, "system:serviceaccount:default:default");
    CHECK_SPAN(c.pod.name, "p");
    CHECK(span_eq(c.pod.uid, kk_pod(&k, "p", "metadata.uid")));
    CHECK_SPAN(c.node.name, "edge");
    struct token_claims other = claims_of(&k, text_of(&k, "t", "vault"));
    CHECK_SPAN(other.audiences[0], "vault");
    CHECK_EQ(other.expires_s - other.issued_s, 600);
    kk_stop(&k);
}

TEST(a_token_is_renewed_when_four_fifths_of_its_life_are_over)
{
    struct kubelet_kit k;
    start(&k);
    make_pod(&k, 600, "");
    struct span first = text_of(&k, "t", "vault");
    kk_run(&k, 7 * MINUTE + 40 * SECOND);
    CHECK(span_eq(text_of(&k, "t", "vault"), first));
    kk_run(&k, 25 * SECOND);
    struct span second = text_of(&k, "t", "vault");
    CHECK(!span_eq(second, first));
    CHECK(claims_of(&k, second).issued_s > claims_of(&k, first).issued_s);
    kk_run(&k, 8 * MINUTE);
    CHECK(!span_eq(text_of(&k, "t", "vault"), second));
    kk_stop(&k);
}

TEST(and_after_a_day_whatever_its_life)
{
    struct kubelet_kit k;
    start(&k);
    make_pod(&k, 30 * 24 * 3600, "");
    struct span first = text_of(&k, "t", "vault");
    kk_run(&k, 23 * (int64_t)HOUR);
    CHECK(span_eq(text_of(&k, "t", "vault"), first));
    kk_run(&k, (int64_t)HOUR);
    CHECK(!span_eq(text_of(&k, "t", "vault"), first));
    kk_stop(&k);
}

TEST(the_old_token_stays_while_the_api_has_none)
{
    struct kubelet_kit k;
    start(&k);
    kk_create(&k, "ServiceAccount",
              "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"r\"}}");
    make_pod(&k, 600, ",\"serviceAccountName\":\"r\"");
    struct span first = text_of(&k, "t", "vault");
    (void)claims_of(&k, first);
    kk_delete(&k, "ServiceAccount", "r", -1);
    kk_run(&k, 20 * MINUTE);
    CHECK(span_eq(text_of(&k, "t", "vault"), first));
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_create(&k, "ServiceAccount",
              "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"r\"}}");
    kk_run(&k, 61 * SECOND);
    CHECK(!span_eq(text_of(&k, "t", "vault"), first));
    kk_stop(&k);
}

TEST(a_pod_waits_for_its_token_and_says_so)
{
    struct kubelet_kit k;
    start(&k);
    kk_create(&k, "ServiceAccount",
              "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"r\"}}");
    kk_kill(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "", "\"volumeMounts\":[]", "\"serviceAccountName\":\"r\""));
    kk_delete(&k, "ServiceAccount", "r", -1);
    kk_kubelet(&k);
    kk_run(&k, 10 * SECOND);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Pending");
    struct span said = kk_event(&k, "p", "FailedMount");
    CHECK(span_ends(said, SPAN("failed to fetch token: serviceaccounts \"r\" not found")));
    kk_create(&k, "ServiceAccount",
              "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"r\"}}");
    kk_run(&k, 61 * SECOND);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_stop(&k);
}

TEST(an_agent_that_starts_again_asks_for_new_tokens)
{
    struct kubelet_kit k;
    start(&k);
    make_pod(&k, 600, "");
    struct span first = text_of(&k, "t", "vault");
    kk_kill(&k);
    kk_run(&k, MINUTE);
    kk_kubelet(&k);
    kk_run(&k, 5 * SECOND);
    struct span second = text_of(&k, "t", "vault");
    CHECK(!span_eq(second, first));
    CHECK_SPAN(claims_of(&k, second).pod.name, "p");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "0");
    kk_stop(&k);
}

static int mode_of(struct kubelet_kit *k, struct stat *st)
{
    CHECK_EQ(stat(path_of(k, "t", "vault").p, st), 0);
    return (int)(st->st_mode & 0777);
}

TEST(only_those_who_need_a_token_may_read_it)
{
    static const struct {
        const char *more;
        int mode, uid, gid;
    } cases[] = {
        {"", 0644, 0, 0},
        {",\"securityContext\":{\"runAsUser\":1000}", 0600, 1000, 0},
        {",\"securityContext\":{\"runAsUser\":1000,\"fsGroup\":2000}", 0640, 1000, 2000},
        {",\"securityContext\":{\"fsGroup\":2000}", 0640, 0, 2000},
        {",\"securityContext\":{\"runAsUser\":1000},\"initContainers\":[{\"name\":\"i\","
         "\"image\":\"i\",\"securityContext\":{\"runAsUser\":7}}]",
         0644, 0, 0},
    };
    if (geteuid() != 0) {
        kit_skip("needs root to give files away");
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kubelet_kit k;
        struct stat st;
        start(&k);
        make_pod(&k, 600, cases[i].more);
        CHECK_EQ(mode_of(&k, &st), cases[i].mode);
        CHECK_EQ(st.st_uid, cases[i].uid);
        CHECK_EQ(st.st_gid, cases[i].gid);
        kk_stop(&k);
    }
}
