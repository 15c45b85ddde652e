/* Forwarding to the machine's resolvers: a fresh socket and a fresh id for each query, the next
 * resolver after a while, SERVFAIL when none answers. A query that came by TCP is asked by TCP, so
 * that long answers arrive whole. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/dns.h"
#include "net/dns_priv.h"

enum { RESOLVER_PORT = 53 };

/* ---- resolv.conf ---- */

static void read_resolvers(struct dns_server *s)
{
    struct stat st;
    if (stat(s->resolv_conf, &st) != 0) {
        s->resolver_count = 0;
        return;
    }
    if (st.st_mtim.tv_sec == s->resolv_mtime.tv_sec &&
        st.st_mtim.tv_nsec == s->resolv_mtime.tv_nsec) {
        return;
    }
    FILE *f cleanup_fclose = fopen(s->resolv_conf, "re");
    char line[512];
    s->resolver_count = 0;
    s->resolv_mtime = st.st_mtim;
    while (f && fgets(line, sizeof line, f) && s->resolver_count < DNS_RESOLVERS_MAX) {
        struct span rest = span_trim(span_cstr(line));
        struct in_addr at;
        if (!span_starts(rest, SPAN("nameserver")) || rest.n < 11) {
            continue;
        }
        rest = span_trim(span_from(rest, 10));
        line[(size_t)(rest.p - line) + rest.n] = '\0';
        if (inet_pton(AF_INET, rest.p, &at) == 1 && at.s_addr != s->own_address.s_addr) {
            s->resolvers[s->resolver_count++] = at;
        }
    }
}

/* ---- one query ---- */

void dns_forward_close(struct dns_server *s, struct dns_forward *f)
{
    assert(s);
    if (f->source.fd >= 0) {
        (void)close(f->source.fd);
        free(f->message);
        free(f->asked);
        free(f->in);
        *f = (struct dns_forward){.source = {DNS_SOURCE_FORWARD, -1}};
        s->forwards_open--;
    }
}

static void deliver(struct dns_server *s, const struct dns_forward *f, const uint8_t *p, size_t n)
{
    if (!f->tcp) {
        dns_reply_udp(s, &f->asker, p, n);
    } else if (f->client->source.fd >= 0 && f->client->generation == f->client_generation) {
        dns_reply_tcp(s, f->client, p, n);
    }
}

/* The reply to what the asker sent, with what the target's resolver says (may be empty). */
static void deliver_alias(struct dns_server *s, const struct dns_forward *f, struct span answer)
{
    struct dns_query q;
    uint8_t *out = mem_new(LIMIT_DNS_TCP_BYTES);
    int code = dns_query_read(span_of(f->message + 2, f->message_n - 2), &q);
    assert(code == 0); /* we have written it */
    size_t n = dns_zone_alias(span_of(f->asked, f->asked_n), span_of(q.name, q.name_bytes), answer,
                              f->tcp, out);
    if (n) {
        deliver(s, f, out, n);
    }
    free(out);
}

static void give_up(struct dns_server *s, struct dns_forward *f)
{
    uint8_t out[LIMIT_DNS_UDP_BYTES];
    if (f->asked) {
        deliver_alias(s, f, SPAN_NULL);
        dns_forward_close(s, f);
        return;
    }
    f->message[2] = (uint8_t)(f->asker_id >> 8);
    f->message[3] = (uint8_t)f->asker_id;
    size_t n = dns_zone_error(span_of(f->message + 2, f->message_n - 2), DNS_SERVFAIL, out);
    if (n) {
        deliver(s, f, out, n);
    }
    dns_forward_close(s, f);
}

static int send_query(struct dns_forward *f)
{
    size_t skip = f->tcp ? 0 : 2;
    ssize_t n =
        send(f->source.fd, f->message + skip, f->message_n - skip, MSG_NOSIGNAL | MSG_DONTWAIT);
    f->sent = n == (ssize_t)(f->message_n - skip);
    return f->sent ? 0 : -errno;
}

/* Asks the resolver f->resolver; false when there is none left. */
static bool ask(struct dns_server *s, struct dns_forward *f)
{
    for (; f->resolver < s->resolver_count; f->resolver++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(RESOLVER_PORT),
                                 .sin_addr = s->resolvers[f->resolver]};
        if (f->source.fd >= 0) {
            (void)close(f->source.fd);
        }
        int type = (f->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
        f->source.fd = socket(AF_INET, type, 0);
        f->in_n = 0;
        f->sent = false;
        f->deadline_ms = s->now_ms + DNS_RESOLVER_MS;
        if (f->source.fd < 0) {
            return false;
        }
        bool started = connect(f->source.fd, (const struct sockaddr *)&to, sizeof to) == 0 ||
                       errno == EINPROGRESS;
        if (started && (f->tcp || send_query(f) == 0) &&
            dns_watch(s, &f->source, f->tcp ? EPOLLIN | EPOLLOUT : EPOLLIN, false) == 0) {
            return true;
        }
    }
    return false;
}

static struct dns_forward *free_slot(struct dns_server *s)
{
    for (size_t i = 0; i < DNS_FORWARDS_MAX; i++) {
        if (s->forwards[i].source.fd < 0) {
            return &s->forwards[i];
        }
    }
    return NULL;
}

void dns_forward_start(struct dns_server *s, struct span message, struct span asked,
                       const struct sockaddr_in *asker, struct dns_client *client)
{
    struct dns_forward *f = free_slot(s);
    assert((asker != NULL) != (client != NULL));
    assert(message.n >= DNS_HEADER_BYTES);
    assert(message.n <= LIMIT_DNS_TCP_BYTES);
    read_resolvers(s);
    struct dns_forward fallback = {.source = {DNS_SOURCE_FORWARD, -1}};
    bool room = f != NULL;
    f = room ? f : &fallback;
    *f = (struct dns_forward){.source = {DNS_SOURCE_FORWARD, -1}, .tcp = client != NULL};
    f->asker = asker ? *asker : (struct sockaddr_in){0};
    f->client = client;
    f->client_generation = client ? client->generation : 0;
    f->asker_id = (uint16_t)((uint8_t)message.p[0] << 8 | (uint8_t)message.p[1]);
    (void)!getrandom(&f->id, sizeof f->id, 0);
    f->message_n = message.n + 2;
    f->message = mem_new(f->message_n);
    f->in = mem_new(LIMIT_DNS_TCP_BYTES + 2);
    if (asked.n) {
        f->asked = mem_new(asked.n);
        f->asked_n = asked.n;
        memcpy(f->asked, asked.p, asked.n);
    }
    memcpy(f->message + 2, message.p, message.n);
    f->message[0] = (uint8_t)(message.n >> 8);
    f->message[1] = (uint8_t)message.n;
    memcpy(f->message + 2, &f->id, sizeof f->id);
    s->forwards_open++;
    if (!room || !ask(s, f)) {
        if (f->source.fd < 0) {
            /* So that closing is the same in all cases. */
            f->source.fd = fcntl(s->stop.fd, F_DUPFD_CLOEXEC, 3);
        }
        give_up(s, f);
    }
}

void dns_forward_late(struct dns_server *s, struct dns_forward *f)
{
    assert(s);
    f->resolver++;
    if (!ask(s, f)) {
        give_up(s, f);
    }
}

/* True when the reply is to our question: same id, same question section. */
static bool is_our_answer(const struct dns_forward *f, const uint8_t *p, size_t n)
{
    if (n < DNS_HEADER_BYTES || memcmp(p, &f->id, 2) != 0 || !(p[2] & 0x80)) {
        return false;
    }
    struct dns_query q;
    if (dns_query_read(span_of(f->message + 2, f->message_n - 2), &q) < 0) {
        return false;
    }
    return n >= DNS_HEADER_BYTES + q.question.n &&
           span_eq_nocase(q.question, span_of(p + DNS_HEADER_BYTES, q.question.n));
}

static void answered(struct dns_server *s, struct dns_forward *f, uint8_t *p, size_t n)
{
    p[0] = (uint8_t)(f->asker_id >> 8);
    p[1] = (uint8_t)f->asker_id;
    if (f->asked) {
        deliver_alias(s, f, span_of(p, n));
    } else {
        deliver(s, f, p, n);
    }
    dns_forward_close(s, f);
}

static void on_udp_answer(struct dns_server *s, struct dns_forward *f)
{
    ssize_t n = recv(f->source.fd, f->in, LIMIT_DNS_TCP_BYTES, MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        dns_forward_late(s, f); /* refused: the next resolver at once */
    } else if (n > 0 && is_our_answer(f, f->in, (size_t)n)) {
        answered(s, f, f->in, (size_t)n);
    }
}

static void on_tcp_answer(struct dns_server *s, struct dns_forward *f)
{
    ssize_t n =
        recv(f->source.fd, f->in + f->in_n, LIMIT_DNS_TCP_BYTES + 2 - f->in_n, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            dns_forward_late(s, f);
        }
        return;
    }
    f->in_n += (size_t)n;
    if (f->in_n < 2) {
        return;
    }
    size_t want = (size_t)(f->in[0] << 8 | f->in[1]);
    if (f->in_n >= want + 2) {
        if (is_our_answer(f, f->in + 2, want)) {
            answered(s, f, f->in + 2, want);
        } else {
            dns_forward_late(s, f);
        }
    }
}

void dns_forward_event(struct dns_server *s, struct dns_forward *f, uint32_t events)
{
    assert(s);
    if (!f->tcp) {
        on_udp_answer(s, f);
        return;
    }
    if (!f->sent && (events & EPOLLOUT)) {
        if (send_query(f) < 0 || dns_watch(s, &f->source, EPOLLIN, true) < 0) {
            dns_forward_late(s, f);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        on_tcp_answer(s, f);
    }
}
