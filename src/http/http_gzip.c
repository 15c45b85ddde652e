#include <zlib.h>

#include "base/check.h"
#include "http/http_priv.h"

bool http_gzip(struct span body, struct strbuf *out)
{
    enum { WINDOW = 15 + 16, MEMORY = 8 }; /* 16: gzip framing */
    assert(body.n > 0);
    assert(body.n < UINT32_MAX);
    z_stream z = {0};
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    size_t room = body.n - 1; /* anything larger is not worth it */
    z.next_in = (Bytef *)(uintptr_t)body.p;
    z.avail_in = (uInt)body.n;
    z.next_out = (Bytef *)strbuf_room(out, room);
    z.avail_out = (uInt)room;
    bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (ok) {
        strbuf_added(out, z.total_out);
    }
    (void)deflateEnd(&z);
    return ok;
}
