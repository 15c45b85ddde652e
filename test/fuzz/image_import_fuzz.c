/* Any bytes as an image archive: imported whole or refused with a sentence, nothing outside its
 * directory, nothing left in tmp/. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "image/image.h"
#include "os/os_fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_ref(void *data, struct span ref, struct span digest)
{
    (void)data;
    assert(ref.n && digest.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a cleanup_arena = arena_new();
    char dir[] = "/tmp/berth-fuzz.XXXXXX";
    struct image_store *store;
    struct span why = SPAN_NULL, *left;
    size_t count;
    int fd cleanup_close = memfd_create("fuzz", MFD_CLOEXEC);
    assert(mkdtemp(dir) && fd >= 0 && write(fd, data, n) == (ssize_t)n &&
           lseek(fd, 0, SEEK_SET) == 0);
    assert(image_store_open(span_cstr(dir), a, &store, &why) == 0);
    int code = image_import(store, fd, SPAN("fuzz:1"), a, on_ref, NULL, &why);
    assert(code == 0 || (code < 0 && why.n > 0));
    assert(os_fs_list(a, arena_printf(a, "%s/images/tmp", dir).p, &left, &count) == 0 &&
           count == 0);
    image_store_free(store);
    assert(os_fs_remove_tree_at(dir) == 0);
    return 0;
}
