/* base/log.h: typed events, not prose.
 *
 *     log_event(LOG_WARN, "image_pull_failed", LOG_S("ref", ref), LOG_I("http", 404));
 *
 * The name is unique in the tree (tools/tidy checks) and in snake_case; a field's value never holds
 * a secret (write "***"). One line each on the sink, key=value or JSON. The last events are kept in
 * a ring that is printed when an assertion fails. The sink is the only global of the program;
 * thread safe. An event of one name is written at most LOG_RATE_PER_S times a second; what was held
 * back is counted. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key;
    bool is_number;
    struct span text;
    int64_t number;
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .text = (v)})
#define LOG_C(k, v) ((struct log_field){.key = (k), .text = span_cstr(v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .is_number = true, .number = (int64_t)(v)})

#define log_event(level, name, ...)                                                                \
    log_emit((level), (name), (const struct log_field[]){{.key = NULL}, ##__VA_ARGS__},            \
             sizeof((const struct log_field[]){{.key = NULL}, ##__VA_ARGS__}) /                    \
                 sizeof(struct log_field))

/* Use log_event(). The first field is a placeholder. */
void log_emit(enum log_level level, const char *name, const struct log_field *fields, size_t n);

/* Configuration, before threads start. fd is not owned. clock gives milliseconds since 1970 (NULL:
 * no time). */
void log_setup(int fd, enum log_level max, bool json, int64_t (*clock_ms)(void *),
               void *clock_data);
/* Writes the ring of the last events to fd; async-signal-safe enough for a dying process. */
void log_dump_ring(int fd);

#endif
