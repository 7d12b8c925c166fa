"""Use cases of translation: translate a text, carry a conversation, end it with its match."""
