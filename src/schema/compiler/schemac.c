/* schema/compiler/schemac.c: schemac -o OUT.c FILE.schema...: see schemac.h. */
#include "schema/compiler/schemac.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void sc_fail(struct sc_place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%d: ", at.file, at.line);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

/* base/span.c asserts; the log that the server's own check_failed() writes to is not linked here.
 */
void check_failed(const char *what, const char *file, int line, const char *func)
{
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, func, what);
    abort();
}

void *sc_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p) {
        perror("schemac");
        exit(1);
    }
    return p;
}

void *sc_push(void *array, size_t *n, size_t size)
{
    /* Capacity is the next power of two: grow when n is one. */
    if ((*n & (*n - 1)) == 0) {
        size_t cap = *n ? *n * 2 : 1;
        array = realloc(array, cap * size);
        if (!array) {
            perror("schemac");
            exit(1);
        }
    }
    memset((char *)array + *n * size, 0, size);
    (*n)++;
    return array;
}

char *sc_format(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0) {
        perror("schemac");
        exit(1);
    }
    va_end(ap);
    return text;
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[1], "-o") != 0) {
        fprintf(stderr, "usage: schemac -o OUT.c FILE.schema...\n");
        return 2;
    }
    struct sc_model model = {0};
    for (int i = 3; i < argc; i++) {
        sc_parse_file(&model, argv[i]);
    }
    sc_resolve(&model);
    sc_emit(&model, argv[2]);
    return 0;
}
