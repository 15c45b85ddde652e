#include "codec/status.h"

#include "kit/kit.h"

TEST(an_error_becomes_a_failure_status_with_all_it_knows)
{
    struct arena *a = arena_new();
    struct err e;
    err_set(a, &e, ERR_INVALID,
            "StatefulSet.apps \"%s\" is invalid: spec.replicas: Invalid value: -1", "s");
    e.group = SPAN("apps");
    e.kind = SPAN("StatefulSet");
    e.name = SPAN("s");
    err_add_cause(a, &e, "FieldValueInvalid", SPAN("spec.replicas"), SPAN("Invalid value: -1"));
    CHECK_SPAN(
        status_json(a, &e),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
        "\"message\":\"StatefulSet.apps \\\"s\\\" is invalid: spec.replicas: Invalid value: -1\","
        "\"reason\":\"Invalid\",\"details\":{\"name\":\"s\",\"group\":\"apps\","
        "\"kind\":\"StatefulSet\",\"causes\":[{\"reason\":\"FieldValueInvalid\","
        "\"message\":\"Invalid value: -1\",\"field\":\"spec.replicas\"}]},\"code\":422}");
    arena_free(a);
}

TEST(details_are_there_only_when_something_is_known_or_clients_expect_them)
{
    struct arena *a = arena_new();
    struct err e;
    err_set(a, &e, ERR_UNAUTHORIZED, "Unauthorized");
    CHECK_SPAN(status_json(a, &e),
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
               "\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}");
    err_set(a, &e, ERR_NOT_FOUND, "the server could not find the requested resource");
    CHECK_SPAN(status_json(a, &e),
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
               "\"message\":\"the server could not find the requested resource\","
               "\"reason\":\"NotFound\",\"details\":{},\"code\":404}");
    err_set(a, &e, ERR_TOO_MANY_REQUESTS, "later");
    e.retry_after_s = 3;
    CHECK_SPAN(status_json(a, &e),
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
               "\"message\":\"later\",\"reason\":\"TooManyRequests\","
               "\"details\":{\"retryAfterSeconds\":3},\"code\":429}");
    arena_free(a);
}

TEST(an_exit_is_a_status)
{
    struct arena *a = arena_new();
    CHECK_SPAN(
        status_exit_json(a, 0),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\"}");
    arena_free(a);
}
