//! Whether a message that carries a tag is the one that we sent.

use postrider_probes::post::Draft;
use postrider_wire::message::header::{all, fields};
use postrider_wire::message::tag::{Tag, TagKey};

/// The tag is public: mail is quoted, bounced, forwarded, replayed and forged. A message is ours only if the tag's
/// MAC was made with our key for exactly this sender and recipient, and the message still bears our `Message-ID`.
#[must_use]
pub fn is_ours(tag: &Tag, header: &[u8], draft: &Draft, key: &TagKey) -> bool {
    let fields = fields(header);
    let same_message_id = match all(&fields, "Message-ID").as_slice() {
        [only] => bare(only) == draft.message_id,
        _ => false,
    };
    tag.id == draft.id && same_message_id && tag.verify(key, &draft.sender, &draft.recipient)
}

/// Without the angle brackets and the space around them.
fn bare(message_id: &str) -> &str {
    let trimmed = message_id.trim();
    trimmed
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(trimmed)
}
