/* base/format.h: vsnprintf for the few conversions that nearly all our texts are made of, several
 * times as fast; what has another one goes to vsnprintf whole. */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf: at most room bytes, the NUL included (to may be NULL when room is 0); returns the
 * bytes that the whole text has without it. The caller's ap is used up. */
int format_text(char *to, size_t room, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

#endif
