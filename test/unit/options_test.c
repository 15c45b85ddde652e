/* Settings that contradict each other or name nothing are refused before anything is made. */
#include "main/options.h"
#include "test/kit/kit.h"

/* What options_parse returns for `server ARG...`; an empty argument is none. */
static int parse(const char *first, const char *second, const char *third)
{
    struct arena *a = arena_new();
    struct options o;
    const char *given[] = {"server", "--node-name=edge", "--data-dir=/tmp/none", first, second,
                           third};
    char words[6][64], *argv[7] = {0};
    int argc = 0;
    for (size_t i = 0; i < 6; i++) {
        if (given[i][0]) {
            (void)snprintf(words[i], sizeof words[i], "%s", given[i]);
            argv[argc++] = words[i];
        }
    }
    int code = options_parse(a, OPTIONS_SERVER, "server", argc, argv, &o);
    arena_free(a);
    return code;
}

TEST(the_defaults_fit_together)
{
    CHECK_EQ(parse("", "", ""), 0);
}

TEST(ranges_that_overlap_are_refused)
{
    CHECK_EQ(parse("--cluster-cidr=10.42.0.0/16", "--service-cidr=10.42.8.0/24",
                   "--cluster-dns=10.42.8.10"),
             -1);
    CHECK_EQ(parse("--cluster-cidr=10.43.7.0/28", "", ""), -1);
    CHECK_EQ(parse("--service-cidr=10.41.255.0/24", "--cluster-dns=10.41.255.10", ""), 0);
}

TEST(the_dns_address_must_be_a_free_one_of_the_service_range)
{
    CHECK_EQ(parse("--cluster-dns=10.44.0.0", "", ""), -1);
    CHECK_EQ(parse("--cluster-dns=10.42.255.255", "", ""), -1);
    CHECK_EQ(parse("--cluster-dns=10.43.0.0", "", ""), -1);     /* the network */
    CHECK_EQ(parse("--cluster-dns=10.43.0.1", "", ""), -1);     /* the API's */
    CHECK_EQ(parse("--cluster-dns=10.43.255.255", "", ""), -1); /* broadcast */
    CHECK_EQ(parse("--cluster-dns=10.43.0.2", "", ""), 0);
    CHECK_EQ(parse("--cluster-dns=10.43.255.254", "", ""), 0);
    CHECK_EQ(parse("--cluster-dns=::1", "", ""), -1);
}

TEST(names_have_no_empty_parts)
{
    CHECK_EQ(parse("--cluster-domain=a..b", "", ""), -1);
    CHECK_EQ(parse("--cluster-domain=a.-b", "", ""), -1);
    CHECK_EQ(parse("--node-name=edge.", "", ""), -1);
    CHECK_EQ(parse("--cluster-domain=a.b-c", "", ""), 0);
}
