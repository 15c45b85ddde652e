#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/strbuf.h"

enum { RING_EVENTS = 128, RING_LINE_BYTES = 256 };

static struct {
    pthread_mutex_t lock;
    int fd;
    enum log_level max;
    bool json;
    int64_t (*clock_ms)(void *);
    void *clock_data;
    char ring[RING_EVENTS][RING_LINE_BYTES];
    unsigned ring_at;
    struct {
        const char *name;
        int64_t second;
        int count, held;
    } rate[256];
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = 2, .max = LOG_INFO};

void log_setup(int fd, enum log_level max, bool json, int64_t (*clock_ms)(void *), void *clock_data)
{
    assert(max <= LOG_DEBUG);
    sink.fd = fd;
    sink.max = max;
    sink.json = json;
    sink.clock_ms = clock_ms;
    sink.clock_data = clock_data;
}

static bool log_enabled(enum log_level level)
{
    return level <= sink.max;
}

static void put_quoted(struct strbuf *b, struct span s)
{
    strbuf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        size_t plain = 0;
        while (i + plain < s.n && s.p[i + plain] > 0x1f && s.p[i + plain] != '"' &&
               s.p[i + plain] != '\\') {
            plain++;
        }
        if (plain > 0) {
            strbuf_put(b, span_of(s.p + i, plain));
            i += plain - 1;
        } else if (c == '"' || c == '\\') {
            strbuf_printf(b, "\\%c", c);
        } else if (c == '\n') {
            strbuf_puts(b, "\\n");
        } else if (c < 0x20) {
            strbuf_printf(b, "\\u%04x", c);
        } else {
            strbuf_putc(b, (char)c);
        }
    }
    strbuf_putc(b, '"');
}

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
            return false;
        }
    }
    return s.n > 0;
}

static void put_digits(struct strbuf *b, unsigned value, int count, char after)
{
    char text[8];
    assert(count < (int)sizeof text);
    text[count] = after;
    for (int i = count; i-- > 0; value /= 10) {
        text[i] = (char)('0' + value % 10);
    }
    strbuf_put(b, span_of(text, (size_t)count + 1));
}

static void put_time(struct strbuf *b, int64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    (void)gmtime_r(&t, &tm);
    put_digits(b, (unsigned)(tm.tm_year + 1900), 4, '-');
    put_digits(b, (unsigned)(tm.tm_mon + 1), 2, '-');
    put_digits(b, (unsigned)tm.tm_mday, 2, 'T');
    put_digits(b, (unsigned)tm.tm_hour, 2, ':');
    put_digits(b, (unsigned)tm.tm_min, 2, ':');
    put_digits(b, (unsigned)tm.tm_sec, 2, '.');
    put_digits(b, (unsigned)(ms % 1000), 3, 'Z');
}

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static void format_text(struct strbuf *b, int64_t now, enum log_level level, const char *name,
                        const struct log_field *f, size_t n)
{
    put_time(b, now);
    strbuf_printf(b, " %s %s", level_names[level], name);
    for (size_t i = 1; i < n; i++) {
        strbuf_printf(b, " %s=", f[i].key);
        if (f[i].is_number) {
            strbuf_printf(b, "%lld", (long long)f[i].number);
        } else if (is_plain(f[i].text)) {
            strbuf_put(b, f[i].text);
        } else {
            put_quoted(b, f[i].text);
        }
    }
    strbuf_putc(b, '\n');
}

static void format_json(struct strbuf *b, int64_t now, enum log_level level, const char *name,
                        const struct log_field *f, size_t n)
{
    strbuf_puts(b, "{\"time\":\"");
    put_time(b, now);
    strbuf_printf(b, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], name);
    for (size_t i = 1; i < n; i++) {
        strbuf_printf(b, ",\"%s\":", f[i].key);
        if (f[i].is_number) {
            strbuf_printf(b, "%lld", (long long)f[i].number);
        } else {
            put_quoted(b, f[i].text);
        }
    }
    strbuf_puts(b, "}\n");
}

/* True when the event may be written; counts what is held back. Under the lock. */
static bool rate_ok(const char *name, int64_t now)
{
    size_t i = ((uintptr_t)name >> 3) % (sizeof sink.rate / sizeof *sink.rate);
    if (sink.rate[i].name != name || sink.rate[i].second != now / 1000) {
        sink.rate[i].name = name;
        sink.rate[i].second = now / 1000;
        sink.rate[i].count = 0;
    }
    return ++sink.rate[i].count <= LOG_RATE_PER_S;
}

void log_emit(enum log_level level, const char *name, const struct log_field *fields, size_t n)
{
    assert(name);
    assert(fields || n == 0);
    int64_t now = sink.clock_ms ? sink.clock_ms(sink.clock_data) : 0;
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    if (!log_enabled(level) && level > LOG_INFO) {
        return;
    }
    if (sink.json) {
        format_json(&b, now, level, name, fields, n);
    } else {
        format_text(&b, now, level, name, fields, n);
    }
    (void)pthread_mutex_lock(&sink.lock);
    char *line = sink.ring[sink.ring_at++ % RING_EVENTS];
    size_t keep = b.n < RING_LINE_BYTES - 1 ? b.n : RING_LINE_BYTES - 1;
    assert(keep > 0);
    assert(keep < RING_LINE_BYTES);
    memcpy(line, b.p, keep);
    line[keep] = '\0';
    line[keep - 1] = '\n';
    if (log_enabled(level) && sink.fd >= 0 && rate_ok(name, now)) {
        (void)!write(sink.fd, b.p, b.n);
    }
    (void)pthread_mutex_unlock(&sink.lock);
}

void log_dump_ring(int fd)
{
    for (unsigned i = 0; i < RING_EVENTS; i++) {
        const char *line = sink.ring[(sink.ring_at + i) % RING_EVENTS];
        if (line[0]) {
            (void)!write(fd, line, strlen(line));
        }
    }
}
