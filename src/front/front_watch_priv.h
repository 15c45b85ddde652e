/* front/front_watch_priv.h: one watch of an HTTP client, over chunks (front_watch.c) or over
 * WebSocket messages, one event each (front_watch_ws.c). */
#ifndef FRONT_WATCH_PRIV_H
#define FRONT_WATCH_PRIV_H

#include "front/front_priv.h"

struct watch_ws;

struct watch_stream {
    struct front *f;
    struct watch_ws *ws; /* NULL: chunks of the exchange's reply */
    struct watcher *watcher;
    struct object **initial; /* still to be sent as ADDED */
    size_t initial_n, initial_at;
    int64_t initial_rev;
    bool owes_initial_end;
    struct env_timer timeout, bookmark;
    struct metric_events *metric;
    struct list link;
};

/* ---- front_watch.c ---- */

/* Room again. */
void front_watch_pump(struct watch_stream *w);
/* The client is gone: gives back what the watch holds, all but its memory. */
void front_watch_release(struct watch_stream *w);

/* ---- front_watch_ws.c ---- */

/* Takes the exchange over (front.x is gone afterwards, its arena is ours); -1 with op.err. */
int watch_ws_begin(struct watch_stream *w);
/* Writes one event, as the body of a message. */
void watch_ws_write(struct watch_ws *ws, struct span event);
size_t watch_ws_queued(const struct watch_ws *ws);
/* Says goodbye and ends the connection; the watch's memory is gone afterwards. */
void watch_ws_end(struct watch_ws *ws);

#endif
