/* Quantities, times and names: the values inside objects that have a syntax of their own. */
#include <regex.h>

#include "base/arena.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "test/kit/kit.h"

TEST(quantities_become_canonical)
{
    static const char *const cases[][2] = {
        {"1Gi", "1Gi"},
        {"1024Mi", "1Gi"},
        {"1.5Gi", "1536Mi"},
        {"0.5Ki", "512"},
        {"1000m", "1"},
        {"1500m", "1500m"},
        {"0.1", "100m"},
        {"1.5", "1500m"},
        {"2000", "2k"},
        {"1e3", "1e3"},
        {"1E3", "1e3"},
        {"12e5", "1200e3"},
        {"1e2", "100"},
        {"0", "0"},
        {"0Gi", "0"},
        {"-1Gi", "-1Gi"},
        {"+5", "5"},
        {"1.", "1"},
        {".5", "500m"},
        {"1n", "1n"},
        {"0.1n", "1n"},
        {"1.1Ki", "1127"},
        {"1E", "1E"},
        {"100E", "9223372036854775807"},
        {"1000Ei", "9223372036854775807"},
        {"00012", "12"},
        {"250m", "250m"},
        {"1e-3", "1e-3"},
        {"1023Ki", "1023Ki"},
        {"1000Ki", "1000Ki"},
        {"1000k", "1M"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quantity q;
        char buf[QUANTITY_TEXT_BYTES];
        if (quantity_parse(span_cstr(cases[i][0]), &q)) {
            kit_fail(__FILE__, __LINE__, "%s is no quantity", cases[i][0]);
        }
        CHECK_SPAN(quantity_format(&q, buf), cases[i][1]);
        struct quantity again;
        CHECK(quantity_parse(span_cstr(cases[i][1]), &again) == NULL);
        CHECK_SPAN(quantity_format(&again, buf), cases[i][1]);
    }
}

TEST(what_is_no_quantity_is_refused)
{
    static const char *const cases[] = {"",   "Gi", "1.2.3", "1gi", "1 Gi", "1GiB",
                                        "e3", "1e", "--1",   "abc", "1K",   "1e99999"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quantity q;
        if (!quantity_parse(span_cstr(cases[i]), &q)) {
            kit_fail(__FILE__, __LINE__, "\"%s\" passed", cases[i]);
        }
    }
}

TEST(quantities_compare_and_round_up)
{
    struct quantity a, b;
    CHECK(!quantity_parse(SPAN("1Gi"), &a) && !quantity_parse(SPAN("1G"), &b));
    CHECK(quantity_cmp(&a, &b) > 0 && quantity_cmp(&b, &a) < 0);
    CHECK_EQ(quantity_units(&a), 1073741824);
    CHECK(!quantity_parse(SPAN("1.0001"), &a));
    CHECK_EQ(quantity_units(&a), 2);
    CHECK_EQ(quantity_millis(&a), 1001);
    CHECK(!quantity_parse(SPAN("-1.5"), &a));
    CHECK_EQ(quantity_units(&a), -2);
}

TEST(microseconds_survive)
{
    cleanup_arena struct arena *a = arena_new();
    int64_t us;
    CHECK(time_parse_us(SPAN("2024-02-29T12:30:45.5000019+02:00"), &us));
    CHECK_EQ(us, 1709202645500001);
    CHECK_SPAN(time_format_micro(a, us), "2024-02-29T10:30:45.500001Z");
}

TEST(ages_are_short)
{
    cleanup_arena struct arena *a = arena_new();
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {{-5, "<invalid>"}, {-1, "0s"},      {0, "0s"},        {119, "119s"},
                 {120, "2m"},       {270, "4m30s"},  {600, "10m"},     {3600, "60m"},
                 {10800, "3h"},     {10860, "3h1m"}, {28800, "8h"},    {172800, "2d"},
                 {176400, "2d1h"},  {691200, "8d"},  {63072000, "2y"}, {63158400, "2y1d"},
                 {252288000, "8y"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_SPAN(time_age(a, cases[i].s * 1000), cases[i].text);
    }
    CHECK_SPAN(time_age_since(a, SPAN(""), 0), "<unknown>");
    CHECK_SPAN(time_age_since(a, SPAN("1970-01-01T00:00:00Z"), 30000), "30s");
}

static struct span repeated(struct arena *a, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memset(p, 'a', n);
    return span_of(p, n);
}

TEST(names_are_checked_on_both_sides_of_each_limit)
{
    cleanup_arena struct arena *a = arena_new();
    CHECK_EQ(names_dns_label(repeated(a, 63)).n, 0);
    CHECK_EQ(names_dns_label(repeated(a, 64)).n, 1);
    CHECK_EQ(names_dns_subdomain(repeated(a, 253)).n, 0);
    CHECK_EQ(names_dns_subdomain(repeated(a, 254)).n, 1);
    CHECK_EQ(names_label_value(repeated(a, 63)).n, 0);
    CHECK_EQ(names_label_value(repeated(a, 64)).n, 1);
    CHECK_EQ(names_port(repeated(a, 15)).n, 0);
    CHECK_EQ(names_port(repeated(a, 16)).n, 1);
    CHECK_EQ(names_dns_label(SPAN("")).n, 1);
    CHECK_EQ(names_dns_label(SPAN("-a")).n, 1);
    CHECK_EQ(names_dns_label(SPAN("a.b")).n, 1);
    CHECK_EQ(names_dns_subdomain(SPAN("a.b")).n, 0);
    CHECK_EQ(names_dns_subdomain(SPAN("a..b")).n, 1);
    CHECK_EQ(names_dns_label_1035(SPAN("1svc")).n, 1);
    CHECK_EQ(names_qualified(SPAN("example.com/My_name.x")).n, 0);
    CHECK_EQ(names_qualified(SPAN("a~/b")).n, 1);
    CHECK_EQ(names_qualified(SPAN("a/b/c")).n, 1);
    CHECK_EQ(names_qualified(SPAN("/b")).n, 1);
    CHECK_EQ(names_label_value(SPAN("")).n, 0);
    CHECK_EQ(names_config_key(SPAN("redis.conf")).n, 0);
    CHECK_EQ(names_config_key(SPAN("..x")).n, 1);
    CHECK_EQ(names_config_key(SPAN("a/b")).n, 1);
    CHECK_EQ(names_env(SPAN("A=B")).n, 1);
    CHECK_EQ(names_env(SPAN("my.VAR-1")).n, 0);
    CHECK_EQ(names_port(SPAN("80")).n, 1);
    CHECK_EQ(names_port(SPAN("a--b")).n, 1);
    CHECK(names_is_ip(SPAN("10.0.0.1")) && names_is_ip(SPAN("fd00::1")));
    CHECK(!names_is_ip(SPAN("300.1.1.1")) && !names_is_ip(SPAN("")));
}

static struct span any_name(struct arena *a)
{
    static const char alphabet[] = "aaaazzAZ09-./_ ";
    size_t n = kit_random() % (kit_random() % 8 ? 9 : 90);
    char *text = arena_alloc_raw(a, n + 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t any = kit_random();
        text[i] = n > 20 && any % 32 ? 'x' : alphabet[any / 32 % (sizeof alphabet - 1)];
    }
    text[n] = '\0';
    return span_of(text, n);
}

#define LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN LABEL "(\\." LABEL ")*"
#define WORD "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

TEST(names_are_what_kubernetes_expressions_say)
{
    static const struct {
        struct names_fault (*check)(struct span);
        const char *expression;
        size_t longest;
    } rules[] = {{names_dns_label, "^" LABEL "$", 63},
                 {names_dns_label_1035, "^[a-z]([-a-z0-9]*[a-z0-9])?$", 63},
                 {names_dns_subdomain, "^" SUBDOMAIN "$", 253},
                 {names_label_value, "^(" WORD ")?$", 63},
                 {names_config_key, "^([-_a-zA-Z0-9]|\\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$", 253},
                 {names_qualified, "^(" SUBDOMAIN "/)?" WORD "$", 253 + 1 + 63}};
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        regex_t re;
        size_t good = 0, total = 20000;
        CHECK_EQ(regcomp(&re, rules[k].expression, REG_EXTENDED | REG_NOSUB), 0);
        for (size_t i = 0; i < total; i++) {
            struct arena *a = arena_new();
            struct span name = any_name(a);
            size_t slash = span_find(name, '/');
            bool is_long =
                name.n > rules[k].longest || (rules[k].check == names_qualified &&
                                              (slash < name.n ? name.n - slash - 1 : name.n) > 63);
            bool fine = regexec(&re, name.p, 0, NULL, 0) == 0 && !is_long;
            CHECK_EQ(rules[k].check(name).n == 0, fine);
            good += fine;
            arena_free(a);
        }
        regfree(&re);
        CHECK(good > total / 20 && good < total - total / 20);
    }
}
