"""What can go wrong in the knowledge base.

KnowledgeBaseError
├── ArticleError             an article or a folder of articles that cannot be served
├── ArticleNotFoundError     an id that no article has
├── BadQueryError            a question that cannot be asked
└── StartError               a setting or an address that stops the server from starting
"""

from pathlib import Path


class KnowledgeBaseError(Exception):
    """Base of every error that the knowledge base raises."""


class ArticleError(KnowledgeBaseError):
    """An article that cannot be served; the message names its file and the reason."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class ArticleNotFoundError(KnowledgeBaseError):
    """No article has this id; the message is meant for whoever asked."""


class BadQueryError(KnowledgeBaseError):
    """The question cannot be asked; the message is meant for whoever asked."""


class StartError(KnowledgeBaseError):
    """The server cannot start as it was told to; the message names the setting to change."""
