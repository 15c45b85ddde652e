/* kubelet/kubelet_cri.c: see the header. */
#include "kubelet/kubelet_cri.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/time.h"

bool kubelet_cri_parse(struct span line, struct cri_line *ret)
{
    assert(ret);
    struct span rest = line;
    struct cri_line l = {.time = span_cut(&rest, ' ')};
    l.stream = span_cut(&rest, ' ');
    bool has_text = span_find(rest, ' ') < rest.n;
    struct span tag = span_cut(&rest, ' ');
    tag = span_first(tag, span_find(tag, ':'));
    bool stream_ok = span_eq_cstr(l.stream, "stdout") || span_eq_cstr(l.stream, "stderr");
    l.partial = span_eq_cstr(tag, "P");
    if (l.time.n < 20 || !stream_ok || (!l.partial && !span_eq_cstr(tag, "F"))) {
        return false;
    }
    l.text = has_text ? rest : span_of(line.p + line.n, 0);
    *ret = l;
    return true;
}

static void put_limited(struct cri_filter *f, struct strbuf *out, struct span s)
{
    if (f->left_bytes >= 0) {
        s = span_first(s, (size_t)f->left_bytes);
        f->left_bytes -= (int64_t)s.n;
    }
    strbuf_put(out, s);
}

static void print_line(struct cri_filter *f, struct span line, struct strbuf *out)
{
    struct cri_line l;
    if (!kubelet_cri_parse(line, &l)) {
        put_limited(f, out, line);
        put_limited(f, out, SPAN("\n"));
        f->inside = false;
        return;
    }
    if (f->since_ms > 0 && time_or(l.time, INT64_MAX) < f->since_ms) {
        return;
    }
    if (f->timestamps && !f->inside) {
        /* The zone that a kubelet calls Z. */
        bool utc = span_ends(l.time, SPAN("+00:00"));
        put_limited(f, out, utc ? span_first(l.time, l.time.n - 6) : l.time);
        put_limited(f, out, utc ? SPAN("Z ") : SPAN(" "));
    }
    put_limited(f, out, l.text);
    if (!l.partial) {
        put_limited(f, out, SPAN("\n"));
    }
    f->inside = l.partial;
}

size_t kubelet_cri_print(struct cri_filter *f, struct span text, struct strbuf *out)
{
    assert(out);
    assert(f->left_bytes >= -1);
    size_t used = 0;
    while (f->left_bytes != 0) {
        struct span rest = span_from(text, used);
        size_t end = span_find(rest, '\n');
        if (end == rest.n) {
            break;
        }
        print_line(f, span_first(rest, end), out);
        used += end + 1;
        assert(used <= text.n);
    }
    return used;
}

/* Enough of an entry to see its tag: time, stream, tag. */
enum { TAIL_BLOCK = 65536, TAIL_HEAD = 64 };

struct tail {
    int fd;
    char *buf; /* the file's bytes from `from` on */
    int64_t from;
    ssize_t n;
};

static bool entry_is_partial(const struct tail *t, int64_t begin)
{
    char head[TAIL_HEAD];
    struct span s = span_of(t->buf + (begin - t->from), TAIL_HEAD);
    assert(begin >= t->from);
    assert(begin <= t->from + t->n);
    if (begin + TAIL_HEAD > t->from + t->n) {
        ssize_t n = pread(t->fd, head, sizeof head, begin);
        s = span_of(head, n > 0 ? (size_t)n : 0);
    }
    struct cri_line l;
    return kubelet_cri_parse(span_first(s, span_find(s, '\n')), &l) && l.partial;
}

int64_t kubelet_cri_tail(int fd, int64_t lines)
{
    struct stat st;
    assert(lines >= 0);
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (lines == 0) {
        return st.st_size;
    }
    cleanup_free char *buf = mem_new(TAIL_BLOCK);
    struct tail t = {.fd = fd, .buf = buf, .from = st.st_size};
    int64_t seen = 0, later = 0; /* the entry after the one looked at; 0: none yet */
    while (t.from > 0) {
        int64_t at = t.from;
        t.from = at > TAIL_BLOCK ? at - TAIL_BLOCK : 0;
        t.n = pread(fd, buf, (size_t)(at - t.from), t.from);
        if (t.n <= 0) {
            return t.n < 0 ? -errno : t.from;
        }
        for (ssize_t i = t.n - 1; i >= 0; i--) {
            int64_t begin = t.from + i + 1;
            if (buf[i] != '\n' || begin == st.st_size) {
                continue;
            }
            if (later && !entry_is_partial(&t, begin) && ++seen == lines) {
                return later;
            }
            later = begin;
        }
    }
    return later && !entry_is_partial(&t, 0) && ++seen == lines ? later : 0;
}
