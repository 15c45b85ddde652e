/* net/dns_server: real sockets, in a network namespace of the test's own: answers over UDP and TCP,
 * forwarding to the resolver that resolv.conf names, the next one when it is silent, SERVFAIL when
 * none answers. */
#include "kit/dns_kit.h"
#include "kit/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "codec/dns.h"
#include "net/dns_server.h"

static struct dns_zone *zone;
static struct dns_server *server;
static char conf[128];

static void own_network(void)
{
    if (unshare(CLONE_NEWNET) != 0) {
        SKIP("needs root for a network namespace");
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &up), 0);
    close(fd);
}

static void start(const char *resolvers)
{
    own_network();
    snprintf(conf, sizeof conf, "%s/resolv.conf", kit_tmpdir());
    FILE *f = fopen(conf, "w");
    fputs(resolvers, f);
    fclose(f);
    const struct zone_record r = {
        .name = SPAN("web.default.svc.cluster.local"), .type = DNS_A, .ip = {10, 43, 0, 7}};
    const struct zone_record alias = {.name = SPAN("ext.default.svc.cluster.local"),
                                      .type = DNS_CNAME,
                                      .target = SPAN("db.example.com")};
    zone = dns_zone_new(SPAN("cluster.local"));
    dns_zone_set(zone, SPAN("web"), &r, 1);
    dns_zone_set(zone, SPAN("ext"), &alias, 1);
    dns_zone_ready(zone);
    struct dns_server_options o = {.address = "127.0.0.1", .port = 53, .resolv_conf = conf};
    CHECK_EQ(dns_server_start(zone, &o, &server), 0);
}

static void stop(void)
{
    dns_server_stop(server);
    dns_zone_free(zone);
}

static struct kit_dns_reply ask(int type, const char *name)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 9};
    uint8_t q[602], in[4096];
    int fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct span m = kit_dns_query(q + 2, 4711, name, DNS_A);
    size_t skip = type == SOCK_STREAM ? 0 : 2;
    q[0] = (uint8_t)(m.n >> 8);
    q[1] = (uint8_t)m.n;
    CHECK_EQ(send(fd, q + skip, m.n + 2 - skip, 0), m.n + 2 - skip);
    ssize_t n = recv(fd, in, sizeof in, type == SOCK_STREAM ? 0 : 0);
    CHECK(n > 12);
    while (type == SOCK_STREAM && n < (in[0] << 8 | in[1]) + 2) {
        n += recv(fd, in + n, sizeof in - (size_t)n, 0);
    }
    close(fd);
    struct kit_dns_reply r;
    size_t head = type == SOCK_STREAM ? 2 : 0;
    kit_dns_parse(span_of(in + head, (size_t)n - head), &r);
    CHECK_EQ(r.id, 4711);
    return r;
}

/* A resolver that answers every UDP query with 192.0.2.1 (and over TCP likewise). */
static void *upstream(void *arg)
{
    int *fds = arg;
    for (;;) {
        uint8_t m[1024];
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        ssize_t n = recvfrom(fds[0], m, 512, 0, (struct sockaddr *)&from, &from_n);
        if (n < 12) {
            return NULL;
        }
        static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
        m[2] |= 0x80;
        m[7] = 1;
        n -= m[11] ? 11 : 0; /* EDNS is not ours */
        m[11] = 0;
        memcpy(m + n, record, sizeof record);
        sendto(fds[0], m, (size_t)n + sizeof record, 0, (struct sockaddr *)&from, from_n);
    }
}

static int upstream_fd;
static void start_upstream(const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    static pthread_t thread;
    inet_pton(AF_INET, address, &at.sin_addr);
    upstream_fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(upstream_fd, (struct sockaddr *)&at, sizeof at), 0);
    pthread_create(&thread, NULL, upstream, &upstream_fd);
}

TEST(dns_server_answers_over_udp_and_tcp)
{
    start("");
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "web.default.svc.cluster.local").text), "A 10.43.0.7;");
    CHECK_SPAN(span_cstr(ask(SOCK_STREAM, "web.default.svc.cluster.local").text), "A 10.43.0.7;");
    stop();
}

TEST(dns_server_forwards_other_names_and_skips_itself)
{
    start("# comment\nnameserver 127.0.0.1\nsearch x\nnameserver 127.0.0.53\n");
    start_upstream("127.0.0.53");
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "example.com").text), "A 192.0.2.1;");
    stop();
}

TEST(dns_server_brings_the_addresses_of_an_external_name)
{
    start("nameserver 127.0.0.53\n");
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "ext.default.svc.cluster.local").text),
               "CNAME db.example.com;"); /* nobody answers: the alias alone */
    start_upstream("127.0.0.53");
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "ext.default.svc.cluster.local").text),
               "A 192.0.2.1;CNAME db.example.com;");
    stop();
}

TEST(dns_server_asks_the_next_resolver_when_one_is_silent)
{
    start("nameserver 127.0.0.52\nnameserver 127.0.0.53\n");
    start_upstream("127.0.0.53");
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "example.com").text), "A 192.0.2.1;");
    stop();
}

TEST(dns_server_says_servfail_when_no_resolver_answers)
{
    start("");
    CHECK_EQ(ask(SOCK_DGRAM, "example.com").rcode, DNS_SERVFAIL);
    CHECK_EQ(ask(SOCK_STREAM, "example.com").rcode, DNS_SERVFAIL);
    stop();
}

TEST(dns_server_reads_resolv_conf_again_when_it_changes)
{
    start("");
    start_upstream("127.0.0.53");
    CHECK_EQ(ask(SOCK_DGRAM, "example.com").rcode, DNS_SERVFAIL);
    FILE *f = fopen(conf, "w");
    fputs("nameserver 127.0.0.53\n", f);
    fclose(f);
    CHECK_SPAN(span_cstr(ask(SOCK_DGRAM, "example.com").text), "A 192.0.2.1;");
    stop();
}

TEST(dns_server_refuses_an_address_in_use)
{
    start("");
    struct dns_server *second;
    struct dns_server_options o = {.address = "127.0.0.1", .port = 53, .resolv_conf = conf};
    CHECK_EQ(dns_server_start(zone, &o, &second), -EADDRINUSE);
    stop();
}
