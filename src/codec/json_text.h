/* codec/json_text.h: JSON written as text at once, member by member, where no tree is wanted.
 *
 * The caller opens and closes objects and lists (strbuf_putc); a comma is put where the text does
 * not end with an opening bracket. Strings are UTF-8 already (json_clean_text). */
#ifndef CODEC_JSON_TEXT_H
#define CODEC_JSON_TEXT_H

#include "base/strbuf.h"

/* A comma when one is due: before an element of a list. */
void json_text_next(struct strbuf *b);
/* "key": with the comma when one is due; the value follows. Keys need no escapes. */
void json_text_key(struct strbuf *b, struct span key);
void json_text_str(struct strbuf *b, struct span key, struct span value);
void json_text_int(struct strbuf *b, struct span key, int64_t value);
void json_text_bool(struct strbuf *b, struct span key, bool value);

#endif
