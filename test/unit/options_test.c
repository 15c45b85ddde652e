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

/* options_parse wants words that may be changed. */
static struct options parsed(struct arena *a, unsigned groups, const char *const *words, int n)
{
    struct options o;
    char *argv[8] = {0};
    for (int i = 0; i < n; i++) {
        argv[i] = arena_alloc(a, strlen(words[i]) + 1);
        memcpy(argv[i], words[i], strlen(words[i]));
    }
    CHECK_EQ(options_parse(a, groups, argv[0], n, argv, &o), 0);
    return o;
}

TEST(where_the_api_is_is_remembered_for_those_who_write_a_kubeconfig)
{
    enum { USER = OPTIONS_COMMON | OPTIONS_KUBECONFIG };
    struct arena *a cleanup_arena = arena_new();
    const char *dir = arena_printf(a, "--data-dir=%s", kit_tmpdir()).p;
    const char *server[] = {"server", dir, "--node-name=edge", "--bind-address=192.0.2.7",
                            "--https-listen-port=7443"};
    const char *user[] = {"kubeconfig", dir, "jane", "dev"};
    const char *other[] = {"kubeconfig", dir, "--https-listen-port=1", "jane"};
    struct options o = parsed(a, OPTIONS_SERVER, server, 5);
    CHECK_EQ(options_remember(a, &o), 0);
    o = parsed(a, USER, user, 4);
    CHECK_SPAN(o.bind_address, "192.0.2.7");
    CHECK_EQ(o.https_listen_port, 7443);
    CHECK_EQ(o.arg_count, 2);
    CHECK_EQ(parsed(a, USER, other, 4).https_listen_port, 1);
}

TEST(a_configuration_of_comments_alone_is_one)
{
    struct arena *a cleanup_arena = arena_new();
    const char *path = arena_printf(a, "%s/c.yaml", kit_tmpdir()).p;
    FILE *f = fopen(path, "we");
    CHECK(f && fputs("# nothing\n", f) >= 0 && fclose(f) == 0);
    const char *server[] = {"server", "--node-name=edge", arena_printf(a, "--config=%s", path).p};
    CHECK_SPAN(parsed(a, OPTIONS_SERVER, server, 3).bridge, "berth0");
}

TEST(port_zero_is_refused_since_nobody_could_find_the_server)
{
    CHECK_EQ(parse("--https-listen-port=0", "", ""), -1);
    CHECK_EQ(parse("--https-listen-port=1", "", ""), 0);
    CHECK_EQ(parse("--https-listen-port=65535", "", ""), 0);
    CHECK_EQ(parse("--https-listen-port=65536", "", ""), -1);
}

TEST(words_that_a_command_does_not_take_are_refused)
{
    CHECK_EQ(parse("word", "", ""), -1);
    CHECK_EQ(parse("--grace-period=1", "", ""), -1); /* of berth stop */
}

TEST(a_grace_period_is_a_number_of_seconds)
{
    struct arena *a cleanup_arena = arena_new();
    const char *stop[] = {"stop", arena_printf(a, "--data-dir=%s", kit_tmpdir()).p,
                          "--grace-period=7"};
    CHECK_EQ(parsed(a, OPTIONS_COMMON | OPTIONS_STOP, stop, 3).grace_period_s, 7);
    CHECK_EQ(parsed(a, OPTIONS_COMMON | OPTIONS_STOP, stop, 2).grace_period_s, 0);
}
