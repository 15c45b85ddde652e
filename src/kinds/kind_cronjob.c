/* kinds/kind_cronjob.c: cron jobs. */
#include "base/check.h"
#include "codec/cron.h"
#include "kinds/kind_job.h"

enum { CRON_JOB_NAME_BYTES = 52 }; /* the names of its jobs get eleven more */

static void cronjob_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *job =
        json_mut_get(json_mut_get(json_mut_get(obj, "spec"), "jobTemplate"), "spec");
    pod_spec_defaults(doc, json_mut_get(json_mut_get(job, "template"), "spec"));
}

static bool says(struct span text, struct span what)
{
    for (size_t i = 0; i + what.n <= text.n; i++) {
        if (span_starts(span_from(text, i), what)) {
            return true;
        }
    }
    return false;
}

static void check_schedule(struct check *c, const struct path *p, const yyjson_val *schedule)
{
    struct cron cron;
    struct span fault;
    if (says(json_str(schedule), SPAN("TZ"))) {
        cause_invalid(c, p, shown(c->a, schedule),
                      "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if (!cron_parse(c->a, json_str(schedule), &cron, &fault)) {
        cause_invalid(c, p, shown(c->a, schedule), fault.p);
    }
}

/* Only what is UTC by another name: doc/decisions/jobs.md. */
static void check_zone(struct check *c, const struct path *p, const yyjson_val *zone)
{
    static const char *const utc[] = {"UTC",       "UCT",  "GMT",   "Zulu", "Universal",
                                      "Greenwich", "GMT0", "GMT+0", "GMT-0"};
    struct span name = json_str(zone);
    struct span plain = span_starts(name, SPAN("Etc/")) ? span_from(name, 4) : name;
    for (size_t i = 0; i < sizeof utc / sizeof *utc; i++) {
        if (span_eq_cstr(plain, utc[i])) {
            return;
        }
    }
    if (name.n == 0) {
        cause_invalid(c, p, shown(c->a, zone), "timeZone must be nil or non-empty string");
    } else if (span_eq_nocase(name, SPAN("Local"))) {
        cause_invalid(c, p, shown(c->a, zone),
                      "timeZone must be an explicit time zone as defined in "
                      "https://www.iana.org/time-zones");
    } else {
        cause_invalid(c, p, shown(c->a, zone),
                      arena_printf(c->a,
                                   "unknown time zone %.*s: Berth counts in UTC only; write the "
                                   "schedule in UTC and leave timeZone out, or say Etc/UTC",
                                   SPAN_ARG(name))
                          .p);
    }
}

static void cronjob_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec"), *schedule = json_get(spec, "schedule");
    const struct path *p = AT_FIELD(NULL, "spec");
    struct span name = json_get_str(json_get(obj, "metadata"), "name");
    if (!c->old && name.n > CRON_JOB_NAME_BYTES) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"), shown_text(c->a, name),
                      "must be no more than 52 characters");
    }
    if (json_str(schedule).n) {
        check_schedule(c, AT_FIELD(p, "schedule"), schedule);
    }
    if (json_get(spec, "timeZone")) {
        check_zone(c, AT_FIELD(p, "timeZone"), json_get(spec, "timeZone"));
    }
    const yyjson_val *job = json_path(spec, "jobTemplate", "spec", NULL);
    const struct path *at = AT_FIELD(AT_FIELD(p, "jobTemplate"), "spec");
    check_job_spec(c, at, job);
    if (json_get(job, "selector")) {
        cause_invalid(c, AT_FIELD(at, "selector"), shown(c->a, json_get(job, "selector")),
                      "`selector` will be auto-generated");
    }
    if (json_get_bool(job, "manualSelector", false)) {
        cause_not_supported(c, AT_FIELD(at, "manualSelector"), SPAN("true"), "nil|false");
    }
}

const struct schema_hooks schema_hooks_cronjob = {
    .defaults = cronjob_defaults, .validate = cronjob_validate, .field = kind_field_metadata};
