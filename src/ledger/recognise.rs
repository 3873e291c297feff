//! Whether a message that carries a tag is the one that we sent.

use postrider_probes::post::Draft;
use postrider_wire::message::header::{all, fields};
use postrider_wire::message::tag::{EntryId, Tag, TagKey};

/// What a message must carry to be one certain mail of ours. The tag is public: mail is quoted, bounced, forwarded,
/// replayed and forged. A message is ours only if the tag's MAC was made with our key for exactly this sender and
/// recipient, and the message still bears our `Message-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The one tag that has that MAC.
    tag: Tag,
    message_id: String,
}

impl Proof {
    /// What a copy of this mail must carry.
    #[must_use]
    pub fn of(draft: &Draft, key: &TagKey) -> Self {
        Self {
            tag: Tag::sign(key, draft.id, &draft.sender, &draft.recipient),
            message_id: draft.message_id.clone(),
        }
    }

    /// The mail's entry.
    #[must_use]
    pub fn entry(&self) -> EntryId {
        self.tag.id
    }

    /// Whether a message is that mail, by its header block and the tag in it.
    #[must_use]
    pub fn holds(&self, tag: &Tag, header: &[u8]) -> bool {
        let fields = fields(header);
        let same_message_id = match all(&fields, "Message-ID").as_slice() {
            [only] => bare(only) == self.message_id,
            _ => false,
        };
        same_message_id && tag.is(&self.tag)
    }
}

/// Without the angle brackets and the space around them.
fn bare(message_id: &str) -> &str {
    let trimmed = message_id.trim();
    trimmed
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(trimmed)
}
