"""The settings of one runtime.

A setting is taken from the first place that has it: a flag of the command line, a keyword argument, the settings file,
the environment, the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from .execution.engine import DEFAULT_QUEUE
from .setting_sources import (
    ENVIRONMENT_PREFIX,
    CheckedEnvironment,
    current_layers,
    file_of_environment,
    read_settings_file,
)
from .setting_types import (
    ApiKeys,
    ClientKeys,
    Count,
    Filled,
    FilledNames,
    Names,
    Networks,
    Origins,
    QueueNames,
    QueuePins,
    RateSetting,
    RateStoreUrl,
    Seconds,
    ServedPath,
    StoreUrl,
    WebUrl,
    WebUrls,
)

EMULATED_VERSION = "1.10.6"
_MEGABYTE = 1024 * 1024


class RuntimeConfig(BaseSettings):
    """What can be set: by keyword argument, in a TOML file, or by a variable ``COPILOTKIT_<NAME>``.

    Lists may be written with commas in the environment.

    Raises:
        pydantic.ValidationError: A value does not fit, or the setting is unknown.
        ConfigurationError: The settings file cannot be read.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    env: Literal["development", "production"] = "development"
    """``production`` requires authentication, and turns off GraphiQL and introspection unless they are set."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """The port to listen on; 0 for any free port."""
    graphql_path: ServedPath = "/api/copilotkit"
    """The path of the endpoint."""
    workers: Count = 1
    """The number of worker processes."""
    worker_start_seconds: Seconds = 120.0
    """How long a worker process may take until it serves; in a rolling restart, the old one serves until then."""
    ssl_certfile: Path | None = None
    """The file of the TLS certificate."""
    ssl_keyfile: Path | None = None
    """The file of the TLS key."""
    trusted_proxies: Networks = ("127.0.0.1",)
    """Addresses or networks of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are trusted."""
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    """How long runs may continue after SIGTERM."""

    store: StoreUrl = "memory://"
    """Where states are stored: ``memory://``, ``sqlite:///path``, ``redis://``, ``rediss://`` or ``postgresql://``."""
    store_ttl_seconds: Seconds | None = None
    """How long a thread is kept after its last write; unset to keep it forever."""
    store_max_bytes: Count = 16 * _MEGABYTE
    """The maximum encoded size of one agent's state and messages on one thread."""
    store_max_runs: Count = 200
    """The number of runs of a thread whose events are kept; the oldest are forgotten first."""
    store_max_run_bytes: Count = 32 * _MEGABYTE
    """The maximum size of the events that are kept of all runs of a thread."""
    store_run_ttl_seconds: Seconds | None = None
    """How long the events of a run are kept after its last one; unset for as long as its thread."""
    store_lease_seconds: Annotated[float, Field(ge=1)] = 20.0
    """How long a process may be silent before others take its threads and its runs."""

    graphiql: bool = True
    """Whether to serve GraphiQL to browsers that open the endpoint."""
    chat_page: bool = True
    """Whether to serve the chat page, in ``development`` only."""
    introspection: bool = True
    """Whether to allow introspection of the schema."""
    extensions: bool = False
    """Whether to serve `runtimeInfo` and `saveAgentState` beside the contract, in GraphQL and over REST."""
    cors_origins: Origins = ("*",)
    """Allowed origins. ``*`` allows all, without credentials; listed origins may send credentials."""
    cors_credentials: bool | None = None
    """False: no origin may send credentials. True: requires listed origins, which may. Unset: listed origins may."""
    forward_headers: Names = ("x-*",)
    """Patterns of the request headers that providers receive; never cookies or cloud keys."""

    client_config_keys: ClientKeys = ()
    """Names that clients may set in a run's configuration though its agent does not declare them."""

    auth: Annotated[Literal["none"] | None, Filled] = None
    """``none`` disables authentication, which has to be explicit in ``production``."""
    deny_headers: Names = ()
    """Patterns of request headers that agents never receive over AG-UI, even if ``forward_headers`` matches them."""
    reasoning: Literal["on", "thinking", "off"] = "on"
    """How AG-UI clients receive reasoning: ``on``, under the names of older clients, or not at all."""
    interrupt_outcome: bool = False
    """Whether the end of a run over AG-UI also reports open interrupts in the standard form."""
    interrupt_cancelled: str | None = None
    """What agents receive as the answer to an interrupt that an AG-UI client cancels; by default null."""
    raw_events: bool = False
    """Whether AG-UI clients receive raw events of frameworks, which may contain secrets."""
    keep_alive_seconds: Annotated[float, Field(ge=0)] = 15.0
    """The interval of keep-alive comments in idle AG-UI streams; 0 to disable them."""
    connect_stays_open: bool = False
    """Whether AG-UI clients that connect to a thread stay connected, and receive its later runs, too."""
    stream_batch_seconds: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How long a stream gathers tokens behind those that it has written; 0 to write each at once."""
    debug_events: bool = False
    """Whether to serve ``/cpk-debug-events``, which shows the messages of all users."""
    name_threads: bool = True
    """Whether threads without a name are named after the first message of their user."""
    admins: Names = ()
    """Identities that may read the debug events of all users."""
    show_errors: bool | None = None
    """Whether clients see the class and the text of what agents raise. Unset: if `env` is set to `development`."""
    list_threads: bool | None = None
    """Whether clients may list threads. Unset: authenticated clients may, and all in development."""

    api_keys: ApiKeys = ()
    """API keys, each as ``identity:key``. If there are any, every request needs one."""
    jwt_secret: Annotated[SecretStr | None, Filled] = None
    """The secret for JWTs signed with HMAC."""
    jwt_public_key: Annotated[SecretStr | None, Filled] = None
    """The PEM public key for JWTs signed with RSA, EC or Ed25519."""
    jwt_jwks_url: Annotated[WebUrl | None, Filled] = None
    """The URL of the JSON Web Key Set for JWTs."""
    jwt_algorithms: FilledNames = ()
    """Accepted signature algorithms; by default HS256 with a secret, otherwise RS256 and ES256."""
    jwt_audience: Annotated[str | None, Filled] = None
    """The required ``aud`` of JWTs."""
    jwt_issuer: Annotated[str | None, Filled] = None
    """The required ``iss`` of JWTs."""

    run_timeout_seconds: Seconds = 600.0
    """The maximum duration of a run."""
    installed_providers: bool = True
    """Whether to load the providers of installed packages (entry points ``copilotkit_runtime.providers``)."""
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    """What to do with a run when its client disconnects."""
    on_crash: Literal["close", "resume"] = "close"
    """What to do with a run when its process dies: close it, or have another process go on with it where it can."""
    execution: Literal["inline", "queue"] = "inline"
    """Who executes runs: this process, or the workers of a queue in the store (`redis://` or `postgresql://`)."""
    queues: QueueNames = (DEFAULT_QUEUE,)
    """The queues that `copilotkit-runtime worker` takes runs from."""
    agent_queues: QueuePins = ()
    """Which queues agents are pinned to, each as ``agent=queue``; ``AgentDescriptor.queue`` counts for the others."""
    worker_concurrency: Count = 10
    """How many runs a worker executes at a time."""
    queue_limit: Count = 1000
    """How many runs may wait in a queue."""
    queue_full: Literal["wait", "reject"] = "reject"
    """What to do with a run while its queue is full: wait for a place, or answer 503 with ``Retry-After``."""
    queue_timeout_seconds: Seconds = 120.0
    """How long a run may wait for a worker."""
    busy_policy: Literal["queue", "reject", "interrupt"] = "queue"
    """What to do with a run while another run of the same agent is active on its thread: wait, fail, or replace it."""
    action_errors: Literal["masked", "shown"] = "masked"
    """Whether results of server-side actions show the texts of exceptions other than ``CopilotKitError``."""
    action_source_timeout_seconds: Seconds = 10.0
    """The maximum time for a source to list its actions."""
    guardrails_on_failure: Literal["closed", "open"] = "closed"
    """What to do when a guardrail fails: ``closed`` rejects the request, ``open`` lets it pass."""
    guardrails_timeout_seconds: Seconds = 10.0
    """The maximum time for one guardrail."""
    cloud_base_url: Annotated[str, Field(pattern=r"^(https?://.+|off)$")] = "https://api.cloud.copilotkit.ai"
    """The URL of the guardrails that clients request with a Copilot Cloud key; ``off`` to disable them."""
    mcp_client_urls: WebUrls = ()
    """MCP servers that clients may request: URLs, each including the paths below it."""
    mcp_apps: WebUrls = ()
    """MCP servers whose tools bring interfaces that clients draw: URLs."""
    a2ui: bool | None = None
    """Whether agents draw A2UI surfaces. Unset: if the client brings a catalog of components."""
    open_generative_ui: bool = False
    """Whether clients draw the pages that agents write for their sandbox."""
    max_generated_ui_bytes: Count = 4 * _MEGABYTE
    """The maximum size of one interface that an agent generates, and of an answer to an MCP app."""
    rate_limit: RateSetting | None = None
    """The rate limit per identity, in operations: ``60/minute`` or ``10/second burst 50``."""
    address_rate_limit: RateSetting | None = None
    """The rate limit per address, in operations."""
    rate_limit_store: RateStoreUrl | None = None
    """Where rates are counted: ``memory://`` or a Redis URL. If unset, ``store`` if that is Redis, otherwise memory."""
    max_concurrent_runs: Count | None = None
    """The maximum number of concurrent runs per process."""
    max_concurrent_runs_per_client: Count | None = None
    """The maximum number of concurrent runs per identity, or per address without one, per process."""
    max_joined_threads_per_client: Count = 1_000
    """The maximum number of threads that an identity, or an address without one, follows at once, per process."""
    max_body_bytes: Count = 4 * _MEGABYTE
    """The maximum size of a request, without its images."""
    max_image_bytes: Count = 32 * _MEGABYTE
    """The maximum size of all images and other media of a request, in base64."""
    max_messages: Count = 5_000
    """The maximum number of messages in a request."""
    max_message_bytes: Count = 2 * _MEGABYTE
    """The maximum size of the text of a message, in UTF-8."""
    max_state_bytes: Count = 4 * _MEGABYTE
    """The maximum size of the agent state in a request, as JSON."""
    max_waiting_runs: Count = 16
    """The maximum number of runs that wait in one process for the same agent and thread."""
    max_header_bytes: Count = 64 * 1024
    """The maximum size of the head of a request: its first line and its headers."""
    request_head_seconds: Seconds = 15.0
    """How long a client may take to send the head of a request."""
    idle_connection_seconds: Seconds = 75.0
    """How long a connection stays open without a request. Proxies in front are to close theirs earlier."""
    max_document_characters: Count = 100_000
    """The maximum number of characters in a GraphQL document."""
    max_document_tokens: Count = 1_000
    """The maximum number of lexical tokens in a GraphQL document."""
    max_document_depth: Count = 15
    """The maximum depth of fields in a GraphQL document."""
    max_document_aliases: Count = 15
    """The maximum number of aliases in a GraphQL document."""
    max_document_directives: Count = 50
    """The maximum number of directives in a GraphQL document."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The minimum level of log events."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """``auto`` means console output on a terminal and JSON otherwise."""
    metrics: bool = False
    """Whether to serve ``/metrics``. Requires the extra ``metrics``."""
    tracing: bool = False
    """Whether to record spans. Requires the extra ``otel``; ``OTEL_*`` variables configure the exporter."""
    access_log: bool = True
    """Whether each request is logged with its agent, run, duration and volume; off in ``production`` unless set."""
    blocked_loop_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Report when the event loop is blocked for this long; 0 to disable."""

    @property
    def shows_errors(self) -> bool:
        """Whether clients see what agents raise: only a configuration that is explicitly for development shows it."""
        if self.show_errors is not None:
            return self.show_errors
        return self.env == "development" and "env" in self.model_fields_set

    @model_validator(mode="before")
    @classmethod
    def _harden_production(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("env") != "production":
            return values
        return {"graphiql": False, "introspection": False, "access_log": False, **values}

    @model_validator(mode="after")
    def _check_combinations(self) -> RuntimeConfig:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("cors_credentials: name the origins in cors_origins; '*' may not send credentials")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile must be set together")
        keys = {name for name in ("jwt_secret", "jwt_public_key", "jwt_jwks_url") if getattr(self, name) is not None}
        if len(keys) > 1:
            raise ValueError(f"{', '.join(sorted(keys))}: only one of them may be set")
        # A setting of an audience is meant to authenticate: without a key, everybody would be let in.
        for name in ("jwt_audience", "jwt_issuer", "jwt_algorithms"):
            if getattr(self, name) and not keys:
                raise ValueError(f"{name}: needs one of jwt_secret, jwt_public_key, jwt_jwks_url")
        if self.auth == "none" and (keys or self.api_keys):
            raise ValueError("auth is 'none', but other settings require authentication")
        return self

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the places of settings, the strongest first."""
        layers = current_layers()
        file = layers.file or file_of_environment()
        return (
            InitSettingsSource(settings_cls, layers.flags),
            init_settings,
            InitSettingsSource(settings_cls, read_settings_file(file) if file is not None else {}),
            CheckedEnvironment(settings_cls),
            InitSettingsSource(settings_cls, layers.defaults),
        )
