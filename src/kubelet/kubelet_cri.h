/* kubelet/kubelet_cri.h: one container's log file in CRI format: "TIME STREAM TAGS TEXT\n".
 * Parsing, finding the tail, and turning lines into what `kubectl logs` prints. No loop, no
 * kubelet: usable on any file and in any test. */
#ifndef KUBELET_KUBELET_CRI_H
#define KUBELET_KUBELET_CRI_H

#include "base/span.h"
#include "base/strbuf.h"

struct cri_line {
    struct span time, stream, text; /* text without the line's end */
    bool partial;                   /* tag P: the line goes on in the next entry */
};
/* line without its '\n'. False when it is not in CRI format. */
bool kubelet_cri_parse(struct span line, struct cri_line *ret);

struct cri_filter {
    int64_t since_ms; /* 0: all */
    bool timestamps;
    int64_t left_bytes; /* -1: no limit; counts down */
    bool inside;        /* private: the last entry was partial */
};
/* Appends what the entries in `text` print; returns the bytes of whole entries consumed. Malformed
 * lines are passed on as they are, so that nothing is hidden. Stops when left_bytes is 0. */
size_t kubelet_cri_print(struct cri_filter *f, struct span text, struct strbuf *out);

/* Offset in the file where its last `lines` printed lines begin (entries tagged P belong to the
 * line that they begin), found by reading backwards; -errno. Blocking. */
int64_t kubelet_cri_tail(int fd, int64_t lines);

#endif
