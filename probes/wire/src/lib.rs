//! Mail protocol text to values and back.
