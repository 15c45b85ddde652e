/* codec/base64.h: base64 as Secrets have it (RFC 4648, section 4), and base64url without padding
 * (section 5), as JSON web tokens have it. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/arena.h"
#include "base/span.h"

/* What a letter of base64 stands for, 0 to 63; -1: it is none. */
int base64_digit(char c);
struct span base64(struct arena *a, struct span bytes);
/* Line ends are passed over. False: another letter, or more behind the padding. */
bool base64_decode(struct arena *a, struct span text, struct span *ret);
struct span base64url(struct arena *a, struct span bytes);
/* False: another letter, an impossible length, or bits that are left over and not zero, so that
 * two texts never mean the same bytes. */
bool base64url_decode(struct arena *a, struct span text, struct span *ret);

#endif
