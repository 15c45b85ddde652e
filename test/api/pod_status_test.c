/* What the status of a pod may say, and what it may no longer say: texts that clients match, byte
 * for byte. */
#include "schema/patch.h"
#include "test/kit/api_kit.h"

#define PODS "/api/v1/namespaces/default/pods"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define ENDED(code) "{\"terminated\":{\"exitCode\":" code "}}"
#define RUNS "{\"running\":{}}"

static void make_pod(struct api_kit *k, struct arena *a, const char *policy)
{
    (void)api_expect(
        k, 201, "POST", PODS, "",
        arena_printf(a,
                     "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},"
                     "\"spec\":{\"restartPolicy\":\"%s\",\"containers\":[{\"name\":\"c\","
                     "\"image\":\"i\"}],\"initContainers\":[{\"name\":\"i\",\"image\":\"i\"},"
                     "{\"name\":\"s\",\"image\":\"i\",\"restartPolicy\":\"Always\"}]}}",
                     policy)
            .p);
}

static void check_patch(struct api_kit *k, const char *patch, const char *said)
{
    struct api_reply r = api_expect(k, said ? 422 : 200, "PATCH", PODS "/p/status", MERGE, patch);
    if (said) {
        CHECK_SPAN(api_str(&r, "message"), said);
    }
}

/* A report of an agent that died came late: a pod that had succeeded ran again, and its job counted
 * it twice (seed 18442628). */
TEST(container_that_has_ended_for_good_does_not_run_again)
{
    static const struct {
        const char *policy, *list, *name, *first, *then;
        bool is_refused;
    } cases[] = {
        {"Never", "containerStatuses", "c", ENDED("0"), RUNS, true},
        {"Never", "containerStatuses", "c", ENDED("1"), RUNS, true},
        {"Never", "containerStatuses", "c", ENDED("1"), "{\"waiting\":{}}", true},
        {"Never", "containerStatuses", "c", ENDED("1"), ENDED("2"), false},
        {"Never", "containerStatuses", "c", RUNS, ENDED("0"), false},
        {"OnFailure", "containerStatuses", "c", ENDED("0"), RUNS, true},
        {"OnFailure", "containerStatuses", "c", ENDED("1"), RUNS, false},
        {"Always", "containerStatuses", "c", ENDED("0"), RUNS, false},
        {"Never", "initContainerStatuses", "i", ENDED("0"), RUNS, true},
        {"OnFailure", "initContainerStatuses", "i", ENDED("3"), RUNS, false},
        {"Never", "initContainerStatuses", "s", ENDED("0"), RUNS, false},
        {"Always", "ephemeralContainerStatuses", "e", ENDED("0"), RUNS, true},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_pod(&k, a, cases[i].policy);
        const char *at[2] = {cases[i].first, cases[i].then};
        for (size_t j = 0; j < 2; j++) {
            const char *said = arena_printf(a,
                                            "Pod \"p\" is invalid: status.%s[0].state: Forbidden: "
                                            "may not be transitioned to non-terminated state",
                                            cases[i].list)
                                   .p;
            check_patch(
                &k,
                arena_printf(a,
                             "{\"status\":{\"%s\":[{\"name\":\"%s\",\"state\":%s,\"ready\":"
                             "false,\"restartCount\":0,\"image\":\"i\",\"imageID\":\"\"}]}}",
                             cases[i].list, cases[i].name, at[j])
                    .p,
                j == 1 && cases[i].is_refused ? said : NULL);
        }
        (void)api_expect(&k, 200, "DELETE", PODS "/p?gracePeriodSeconds=0", "", NULL);
    }
    api_kit_stop(&k);
}

TEST(status_of_a_pod_is_checked)
{
    static const struct {
        const char *status, *said; /* NULL: it is fine */
    } cases[] = {
        {"\"conditions\":[{\"type\":\"a b\",\"status\":\"True\"}]",
         "metadata.conditions[0].Type: Invalid value: \"a b\": name part must consist of "
         "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
         "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
         "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
        {"\"conditions\":[{\"type\":\"example.com/gate\",\"status\":\"True\"}]", NULL},
        {"\"nominatedNodeName\":\"No!\"",
         "status.nominatedNodeName: Invalid value: \"No!\": a lowercase RFC 1123 subdomain must "
         "consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
         "an alphanumeric character (e.g. 'example.com', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
        {"\"nominatedNodeName\":\"edge\"", NULL},
        {"\"qosClass\":\"Guaranteed\"",
         "status.qosClass: Invalid value: \"Guaranteed\": field is immutable"},
        {"\"podIPs\":[{\"ip\":\"10.0.0.300\"}]",
         "status.podIPs[0]: Invalid value: \"10.0.0.300\": must be a valid IP address, (e.g. "
         "10.9.8.7 or 2001:db8::ffff)"},
        {"\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}]", NULL},
        {"\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]",
         "status.podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify "
         "no more than one IP for each IP family"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct arena *a cleanup_arena = arena_new();
    make_pod(&k, a, "Always");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *said =
            cases[i].said ? arena_printf(a, "Pod \"p\" is invalid: %s", cases[i].said).p : NULL;
        check_patch(&k, arena_printf(a, "{\"status\":{%s}}", cases[i].status).p, said);
    }
    api_kit_stop(&k);
}
