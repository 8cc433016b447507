//! The control plane and the HTTP API of a starting server, or their stand-ins where
//! none were built.

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::Socket;

use super::ServerHandle;
use crate::config::{Config, Endpoint, Steer};
use crate::error::StartError;
use crate::handler::Renew;
use crate::handover::ControlHandOver;
#[cfg(feature = "control")]
use crate::listeners::stands_at;
use crate::metrics::ShardMetrics;
use crate::plane::ResolvedDriver;

/// What both are made from.
#[cfg_attr(
    not(feature = "api"),
    expect(dead_code, reason = "each feature reads those of its part")
)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) inherited_admin: Option<Socket>,
    pub(super) inherited_api: Option<Socket>,
    pub(super) driver: ResolvedDriver,
    pub(super) steer: Steer,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) metrics: &'a [Arc<ShardMetrics>],
    pub(super) handle: &'a ServerHandle,
    pub(super) keys: ApiKeys,
}

/// The keys of the HTTP API, if there is one.
#[cfg(feature = "api")]
pub(super) struct ApiKeys(Option<Arc<crate::latest::Latest<crate::api::Keys>>>);

/// Stands where keys would.
#[cfg(not(feature = "api"))]
pub(super) struct ApiKeys;

#[cfg(feature = "api")]
impl ApiKeys {
    /// Reads the file that the configuration names.
    ///
    /// # Errors
    /// When it cannot stand.
    pub(super) fn read(config: &Config) -> Result<Self, StartError> {
        let keys = config.api.map(|_| crate::api::Keys::read(config));
        Ok(ApiKeys(keys.transpose()?.map(crate::latest::Latest::new)))
    }

    /// How they are read again.
    pub(super) fn renewal(&self) -> Option<Renew> {
        let keys = Arc::clone(self.0.as_ref()?);
        Some(Arc::new(move |config| {
            let (keys, before) = (Arc::clone(&keys), keys.get());
            let after = crate::api::Keys::read(config)?.after(&before);
            Ok(Box::new(move || keys.replace(after)))
        }))
    }
}

#[cfg(not(feature = "api"))]
impl ApiKeys {
    pub(super) fn read(config: &Config) -> Result<Self, StartError> {
        match config.api {
            None => Ok(ApiKeys),
            Some(_) => Err(StartError::Config(crate::config::ConfigError::new(
                "api",
                "corecast was built without the feature 'api'; build it with that feature, or \
                 set it to off",
            ))),
        }
    }

    pub(super) fn renewal(&self) -> Option<Renew> {
        None
    }
}

/// Checks that both could be made; another server of ours may have their addresses now.
#[cfg(feature = "control")]
pub(super) fn check(config: &Config) -> Result<(), StartError> {
    let admin = ("the control plane", "--admin", config.admin);
    let api = ("the HTTP API", "--api", config.api);
    for (name, flag, address) in [admin, api] {
        let Some(address) = address else { continue };
        match crate::control::bind(name, flag, address) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tracing::warn!("{error}; this is right if it is the server that is to be replaced");
            }
            bound => bound.map(drop).map_err(StartError::Admin)?,
        }
    }
    Ok(())
}

#[cfg(not(feature = "control"))]
pub(super) fn check(config: &Config) -> Result<(), StartError> {
    match config.admin {
        None => Ok(()),
        Some(_) => Err(no_control()),
    }
}

#[cfg(not(feature = "control"))]
fn no_control() -> StartError {
    StartError::Admin(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "corecast was built without the feature 'control'; build it with that feature, or set \
         --admin off",
    ))
}

/// The running control plane and HTTP API, as far as there are any.
#[cfg(feature = "control")]
pub(super) struct Control {
    handle: Option<crate::control::ControlHandle>,
    admin: Option<SocketAddr>,
    api: Option<SocketAddr>,
}

#[cfg(feature = "control")]
impl Control {
    /// Makes everything of both, which do not accept yet.
    pub(super) fn prepare(parts: Parts<'_>) -> Result<Self, StartError> {
        use crate::control::{HttpService, ServerInfo, ServerView, prepare};

        let config = parts.config;
        let info = ServerInfo {
            version: env!("CARGO_PKG_VERSION"),
            driver: parts.driver.as_str().to_owned(),
            steer: parts.steer,
            shards: config.shards,
            endpoints: parts.endpoints.iter().map(|at| at.address).collect(),
            started: std::time::Instant::now(),
        };
        let view = ServerView {
            shards: parts.metrics.to_vec(),
            lifecycle: Arc::clone(&parts.handle.lifecycle),
            info,
            #[cfg(feature = "api")]
            api: config.api.map(|_| Arc::default()),
        };
        let (mut services, mut control) = (Vec::new(), Control::none());
        if let Some(address) = config.admin {
            let listener = listener(
                parts.inherited_admin,
                "the control plane",
                "--admin",
                address,
            )
            .map_err(StartError::Admin)?;
            control.admin = listener.local_addr().ok();
            services.push(HttpService::pages(listener, view.clone()));
        }
        #[cfg(feature = "api")]
        if let (Some(address), ApiKeys(Some(keys)), Some(metrics)) =
            (config.api, parts.keys, view.api.clone())
        {
            use crate::api::{Api, CONNECTION_AGE, CONNECTIONS, router};

            let name = "the HTTP API";
            let listener =
                listener(parts.inherited_api, name, "--api", address).map_err(StartError::Admin)?;
            control.api = listener.local_addr().ok();
            let publisher = parts.handle.publisher();
            let api = Api::new(publisher, keys, config.max_api_body_bytes, metrics, view);
            services.push(HttpService {
                name,
                listener,
                router: router(api.map_err(StartError::Thread)?),
                limits: crate::control::Limits {
                    connections: CONNECTIONS,
                    age: CONNECTION_AGE,
                    ..crate::control::Limits::default()
                },
            });
        }
        if !services.is_empty() {
            control.handle = Some(prepare(services).map_err(StartError::Admin)?);
        }
        Ok(control)
    }

    fn none() -> Self {
        Control {
            handle: None,
            admin: None,
            api: None,
        }
    }

    /// Lets both accept, and returns what a hand-over needs of them.
    pub(super) fn begin(&mut self) -> Option<ControlHandOver> {
        let handle = self.handle.as_mut()?;
        handle.begin();
        let mut listeners = handle.take_listeners().into_iter().map(Socket::from);
        Some(ControlHandOver {
            admin: self.admin.and_then(|_| listeners.next()),
            api: self.api.and_then(|_| listeners.next()),
            retire: handle.retirement(),
        })
    }

    /// The address of the control plane, if there is one.
    pub(super) fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The address of the HTTP API, if there is one.
    pub(super) fn api_addr(&self) -> Option<SocketAddr> {
        self.api
    }
}

/// An inherited listener, if it is the right one, or a new one.
#[cfg(feature = "control")]
fn listener(
    inherited: Option<Socket>,
    name: &str,
    flag: &str,
    address: SocketAddr,
) -> std::io::Result<std::net::TcpListener> {
    match inherited.filter(|socket| stands_at(socket, address)) {
        Some(socket) => Ok(socket.into()),
        None => crate::control::bind(name, flag, address),
    }
}

/// Stands where the control plane would.
#[cfg(not(feature = "control"))]
pub(super) struct Control;

#[cfg(not(feature = "control"))]
impl Control {
    pub(super) fn prepare(parts: Parts<'_>) -> Result<Self, StartError> {
        match parts.config.admin {
            None => Ok(Control),
            Some(_) => Err(no_control()),
        }
    }

    pub(super) fn begin(&mut self) -> Option<ControlHandOver> {
        None
    }

    pub(super) fn admin_addr(&self) -> Option<SocketAddr> {
        None
    }

    pub(super) fn api_addr(&self) -> Option<SocketAddr> {
        None
    }
}
