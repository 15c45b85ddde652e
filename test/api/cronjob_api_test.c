/* What a CronJob is checked by and filled with: the texts that clients match, byte for byte. */
#include "test/kit/api_kit.h"

#define CRONS "/apis/batch/v1/namespaces/default/cronjobs"
#define NAME_53 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CRON_OF(name, more, job)                                                                   \
    "{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"metadata\":{\"name\":\"" name "\"},"      \
    "\"spec\":{" more "\"jobTemplate\":{\"spec\":{" job "\"template\":{\"spec\":{"                 \
    "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}}}"
#define CRON(more, job) CRON_OF("c", more, job)
#define AT "\"schedule\":\"0 1 * * *\","

TEST(what_is_wrong_with_a_cron_job_is_said_in_the_words_of_kubernetes)
{
    static const struct {
        const char *body, *said;
    } rows[] = {
        {CRON("", ""), "\"c\" is invalid: spec.schedule: Required value"},
        {CRON("\"schedule\":\"a b\",", ""), "\"c\" is invalid: spec.schedule: Invalid value: \"a "
                                            "b\": expected exactly 5 fields, found "
                                            "2: [a b]"},
        {CRON("\"schedule\":\"TZ=UTC 0 1 * * *\",", ""),
         "\"c\" is invalid: spec.schedule: Invalid value: \"TZ=UTC 0 1 * * *\": cannot use TZ or "
         "CRON_TZ in schedule, use timeZone field instead"},
        {CRON(AT "\"timeZone\":\"\",", ""), "\"c\" is invalid: spec.timeZone: Invalid value: \"\": "
                                            "timeZone must be nil or non-empty string"},
        {CRON(AT "\"timeZone\":\"local\",", ""),
         "\"c\" is invalid: spec.timeZone: Invalid value: \"local\": timeZone must be an explicit "
         "time zone as defined in https://www.iana.org/time-zones"},
        {CRON(AT "\"timeZone\":\"Europe/Lisbon\",", ""),
         "\"c\" is invalid: spec.timeZone: Invalid value: \"Europe/Lisbon\": unknown time zone "
         "Europe/Lisbon: Berth counts in UTC only; write the schedule in UTC and leave timeZone "
         "out, or say Etc/UTC"},
        {CRON(AT "\"concurrencyPolicy\":\"Some\",", ""),
         "\"c\" is invalid: spec.concurrencyPolicy: Unsupported value: \"Some\": supported values: "
         "\"Allow\", \"Forbid\", \"Replace\""},
        {CRON(AT "\"startingDeadlineSeconds\":-1,", ""),
         "\"c\" is invalid: spec.startingDeadlineSeconds: Invalid value: -1: must be greater than "
         "or equal to 0"},
        {CRON(AT "\"failedJobsHistoryLimit\":-1,", ""),
         "\"c\" is invalid: spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than "
         "or "
         "equal to 0"},
        {CRON(AT, "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"),
         "\"c\" is invalid: spec.jobTemplate.spec.selector: Invalid value: "
         "{\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated"},
        {CRON(AT, "\"manualSelector\":true,"),
         "\"c\" is invalid: spec.jobTemplate.spec.manualSelector: Unsupported value: true: "
         "supported values: \"nil\", \"false\""},
        {CRON(AT, "\"backoffLimitPerIndex\":1,"),
         "\"c\" is invalid: spec.jobTemplate.spec.backoffLimitPerIndex: Invalid value: 1: requires "
         "indexed completion mode"},
        {CRON_OF(NAME_53, AT, ""), "\"" NAME_53 "\" is invalid: metadata.name: Invalid value: "
                                   "\"" NAME_53 "\": must be no more than 52 characters"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_expect(&k, 422, "POST", CRONS, "", rows[i].body);
        struct span want = arena_printf(a, "CronJob.batch %s", rows[i].said);
        CHECK_SPAN(api_str(&r, "message"), want.p);
    }
    api_kit_stop(&k);
}

TEST(a_cron_job_has_its_defaults_and_may_be_in_utc_by_any_name)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", CRONS, "", CRON(AT "\"timeZone\":\"Etc/UTC\",", ""));
    CHECK_SPAN(api_str(&r, "spec.concurrencyPolicy"), "Allow");
    CHECK_EQ(json_int(api_at(r.json, "spec.successfulJobsHistoryLimit"), 0), 3);
    CHECK_EQ(json_int(api_at(r.json, "spec.failedJobsHistoryLimit"), 0), 1);
    CHECK(yyjson_is_false((yyjson_val *)api_at(r.json, "spec.suspend")));
    CHECK_SPAN(api_str(&r, "spec.jobTemplate.spec.template.spec.dnsPolicy"), "ClusterFirst");
    CHECK(api_header(&r, "Warning").n == 0);
    (void)api_expect(&k, 200, "PATCH", CRONS "/c", "Content-Type: application/merge-patch+json\r\n",
                     "{\"spec\":{\"timeZone\":\"GMT\",\"schedule\":\"@every 10m\"}}");
    api_kit_stop(&k);
}
