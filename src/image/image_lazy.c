/* libcurl and libarchive, loaded when an image is first pulled or unpacked.
 *
 * They bring some thirty more libraries, whose touched pages would be a third of a server's
 * resident memory, and most servers never pull. So the program is not linked with them: here stand
 * the functions of theirs that we call, by their own names and prototypes (their headers check
 * ours), each handing on to the real one.
 *
 * The table is written once, by whichever thread needs it first, and is the same for all: it stands
 * for what the dynamic linker would keep. */
#include <archive.h>
#include <archive_entry.h>
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

#define CURL_FUNCTIONS(X)                                                                          \
    X(curl_easy_cleanup)                                                                           \
    X(curl_easy_escape)                                                                            \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_init)                                                                              \
    X(curl_easy_perform)                                                                           \
    X(curl_easy_reset)                                                                             \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_strerror)                                                                          \
    X(curl_free)                                                                                   \
    X(curl_global_init)                                                                            \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)

#define ARCHIVE_FUNCTIONS(X)                                                                       \
    X(archive_entry_filetype)                                                                      \
    X(archive_entry_gid)                                                                           \
    X(archive_entry_hardlink)                                                                      \
    X(archive_entry_mtime)                                                                         \
    X(archive_entry_mtime_is_set)                                                                  \
    X(archive_entry_pathname)                                                                      \
    X(archive_entry_perm)                                                                          \
    X(archive_entry_rdev)                                                                          \
    X(archive_entry_size)                                                                          \
    X(archive_entry_size_is_set)                                                                   \
    X(archive_entry_symlink)                                                                       \
    X(archive_entry_uid)                                                                           \
    X(archive_entry_xattr_next)                                                                    \
    X(archive_entry_xattr_reset)                                                                   \
    X(archive_error_string)                                                                        \
    X(archive_read_data)                                                                           \
    X(archive_read_data_block)                                                                     \
    X(archive_read_free)                                                                           \
    X(archive_read_new)                                                                            \
    X(archive_read_next_header)                                                                    \
    X(archive_read_open)                                                                           \
    X(archive_read_open_fd)                                                                        \
    X(archive_read_open_filename)                                                                  \
    X(archive_read_support_filter_all)                                                             \
    X(archive_read_support_format_empty)                                                           \
    X(archive_read_support_format_raw)                                                             \
    X(archive_read_support_format_tar)                                                             \
    X(archive_set_error)

/* A library that is missing, or another than the one we were built with, is a broken installation:
 * the program ends with the loader's own words, as it would have ended before main had the library
 * been linked. */
#define LOADED(pointer)                                                                            \
    do {                                                                                           \
        if (!(pointer)) {                                                                          \
            check_failed(dlerror(), __FILE__, __LINE__, __func__);                                 \
        }                                                                                          \
    } while (0)

/* Hidden: the libraries' own calls among themselves never pass here, also not in a test that is
 * linked with one of them. */
#define HIDE(name) extern __typeof__(name) name __attribute__((visibility("hidden")));
CURL_FUNCTIONS(HIDE)
ARCHIVE_FUNCTIONS(HIDE)

#define MEMBER(name) __typeof__(name) *name;
static struct {
    pthread_once_t curl_once, archive_once;
    CURL_FUNCTIONS(MEMBER)
    ARCHIVE_FUNCTIONS(MEMBER)
} lib = {.curl_once = PTHREAD_ONCE_INIT, .archive_once = PTHREAD_ONCE_INIT};

#define FIND(name)                                                                                 \
    lib.name = (__typeof__(lib.name))dlsym(handle, #name);                                         \
    LOADED(lib.name);

static void load_curl(void)
{
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    LOADED(handle);
    CURL_FUNCTIONS(FIND)
    CURLcode code = lib.curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(code == CURLE_OK);
}

static void load_archive(void)
{
    void *handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    LOADED(handle);
    ARCHIVE_FUNCTIONS(FIND)
}

static void need_curl(void)
{
    int code = pthread_once(&lib.curl_once, load_curl);
    assert(code == 0);
}

static void need_archive(void)
{
    int code = pthread_once(&lib.archive_once, load_archive);
    assert(code == 0);
}

/* RETURN NAME(TYPE of the first argument, ...): handed on as it is. What needs a handle, a list or
 * a string of the library was preceded by one of the functions that load it. */
#define PASS1(ret, name, t1)                                                                       \
    ret name(t1 a)                                                                                 \
    {                                                                                              \
        return lib.name(a);                                                                        \
    }
#define PASS2(ret, name, t1, t2)                                                                   \
    ret name(t1 a, t2 b)                                                                           \
    {                                                                                              \
        return lib.name(a, b);                                                                     \
    }
#define PASS3(ret, name, t1, t2, t3)                                                               \
    ret name(t1 a, t2 b, t3 c)                                                                     \
    {                                                                                              \
        return lib.name(a, b, c);                                                                  \
    }
#define PASS4(ret, name, t1, t2, t3, t4)                                                           \
    ret name(t1 a, t2 b, t3 c, t4 d)                                                               \
    {                                                                                              \
        return lib.name(a, b, c, d);                                                               \
    }

/* ---- libcurl ---- */

CURL *curl_easy_init(void)
{
    need_curl();
    return lib.curl_easy_init();
}

void curl_easy_cleanup(CURL *curl)
{
    lib.curl_easy_cleanup(curl);
}

CURLcode(curl_easy_getinfo)(CURL *curl, CURLINFO info, ...)
{
    va_list ap;
    va_start(ap, info);
    void *to = va_arg(ap, void *);
    va_end(ap);
    return lib.curl_easy_getinfo(curl, info, to);
}

/* An option's number tells the type of its value. */
CURLcode(curl_easy_setopt)(CURL *curl, CURLoption option, ...)
{
    CURLcode code;
    va_list ap;
    va_start(ap, option);
    if ((int)option < CURLOPTTYPE_OBJECTPOINT) {
        code = lib.curl_easy_setopt(curl, option, va_arg(ap, long));
    } else if ((int)option >= CURLOPTTYPE_OFF_T && (int)option < CURLOPTTYPE_BLOB) {
        code = lib.curl_easy_setopt(curl, option, va_arg(ap, curl_off_t));
    } else {
        code = lib.curl_easy_setopt(curl, option, va_arg(ap, void *));
    }
    va_end(ap);
    return code;
}

const char *curl_easy_strerror(CURLcode code)
{
    need_curl();
    return lib.curl_easy_strerror(code);
}

void curl_easy_reset(CURL *curl)
{
    lib.curl_easy_reset(curl);
}

void curl_free(void *p)
{
    if (p) {
        lib.curl_free(p);
    }
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *data)
{
    need_curl();
    return lib.curl_slist_append(list, data);
}

void curl_slist_free_all(struct curl_slist *list)
{
    if (list) {
        lib.curl_slist_free_all(list);
    }
}

PASS3(char *, curl_easy_escape, CURL *, const char *, int)
PASS1(CURLcode, curl_easy_perform, CURL *)

/* ---- libarchive ---- */

struct archive *archive_read_new(void)
{
    need_archive();
    return lib.archive_read_new();
}

PASS1(__LA_MODE_T, archive_entry_filetype, struct archive_entry *)
PASS1(la_int64_t, archive_entry_gid, struct archive_entry *)
PASS1(const char *, archive_entry_hardlink, struct archive_entry *)
PASS1(time_t, archive_entry_mtime, struct archive_entry *)
PASS1(int, archive_entry_mtime_is_set, struct archive_entry *)
PASS1(const char *, archive_entry_pathname, struct archive_entry *)
PASS1(__LA_MODE_T, archive_entry_perm, struct archive_entry *)
PASS1(dev_t, archive_entry_rdev, struct archive_entry *)
PASS1(la_int64_t, archive_entry_size, struct archive_entry *)
PASS1(int, archive_entry_size_is_set, struct archive_entry *)
PASS1(const char *, archive_entry_symlink, struct archive_entry *)
PASS1(la_int64_t, archive_entry_uid, struct archive_entry *)
PASS4(int, archive_entry_xattr_next, struct archive_entry *, const char **, const void **, size_t *)
PASS1(int, archive_entry_xattr_reset, struct archive_entry *)
PASS1(const char *, archive_error_string, struct archive *)
PASS3(la_ssize_t, archive_read_data, struct archive *, void *, size_t)
PASS4(int, archive_read_data_block, struct archive *, const void **, size_t *, la_int64_t *)
PASS1(int, archive_read_free, struct archive *)
PASS2(int, archive_read_next_header, struct archive *, struct archive_entry **)
PASS3(int, archive_read_open_fd, struct archive *, int, size_t)
PASS3(int, archive_read_open_filename, struct archive *, const char *, size_t)
PASS1(int, archive_read_support_filter_all, struct archive *)
PASS1(int, archive_read_support_format_empty, struct archive *)
PASS1(int, archive_read_support_format_raw, struct archive *)
PASS1(int, archive_read_support_format_tar, struct archive *)

int archive_read_open(struct archive *a, void *data, archive_open_callback *on_open,
                      archive_read_callback *on_read, archive_close_callback *on_close)
{
    return lib.archive_read_open(a, data, on_open, on_read, on_close);
}

void archive_set_error(struct archive *a, int number, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lib.archive_set_error(a, number, "%s", text);
}
