/* env/stream_impl.h: what a byte stream supplies. For implementers only: env/, sim/, and layers
 * that are streams themselves (TLS, WebSocket tunnels); users of streams include env/env.h. An
 * implementation starts with the struct. */
#ifndef ENV_STREAM_IMPL_H
#define ENV_STREAM_IMPL_H

#include "env/env.h"

struct env_stream_ops {
    void (*read)(struct env_stream *s, bool on);
    void (*write)(struct env_stream *s, struct span bytes);
    size_t (*queued)(const struct env_stream *s);
    void (*shutdown)(struct env_stream *s);
    void (*close)(struct env_stream *s, bool flush);
    const char *(*peer)(const struct env_stream *s);
};

struct env_stream {
    const struct env_stream_ops *ops;
    struct env *env;
    struct env_stream_handler handler;
    void *data;
};

#endif
