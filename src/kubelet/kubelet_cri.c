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
        put_limited(f, out, l.time);
        put_limited(f, out, SPAN(" "));
    }
    put_limited(f, out, l.text);
    if (!l.partial) {
        put_limited(f, out, SPAN("\n"));
    }
    f->inside = l.partial;
}

size_t kubelet_cri_print(struct cri_filter *f, struct span text, struct strbuf *out)
{
    size_t used = 0;
    while (f->left_bytes != 0) {
        struct span rest = span_from(text, used);
        size_t end = span_find(rest, '\n');
        if (end == rest.n) {
            break;
        }
        print_line(f, span_first(rest, end), out);
        used += end + 1;
    }
    return used;
}

int64_t kubelet_cri_tail(int fd, int64_t lines)
{
    enum { BLOCK = 65536 };
    struct stat st;
    assert(lines >= 0);
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    cleanup_free char *buf = mem_new(BLOCK);
    int64_t at = st.st_size, seen = 0;
    bool last = true; /* the file's very last byte ends the last line and starts none */
    while (at > 0) {
        int64_t from = at > BLOCK ? at - BLOCK : 0;
        ssize_t n = pread(fd, buf, (size_t)(at - from), from);
        if (n <= 0) {
            return n < 0 ? -errno : from;
        }
        for (ssize_t i = n - 1; i >= 0; i--) {
            bool end = buf[i] == '\n';
            if (end && !last) {
                seen++;
            }
            if (seen >= lines && (end || last) && (lines > 0 ? seen == lines : true)) {
                return from + i + 1;
            }
            last = false;
        }
        at = from;
    }
    return 0;
}
