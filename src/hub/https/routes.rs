//! Routes that can be told, which axum's own can't: each stands in the table of `docs/local-hub.md`, and is tried with
//! every policy.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::hub::HubState;

/// A path of the endpoint, with one of its methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, …; `ANY` for all of them.
    pub method: &'static str,
    /// With names in braces.
    pub path: String,
}

/// A router that knows its routes.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<HubState>,
    list: Vec<Route>,
}

/// What answers at one path.
#[derive(Clone)]
pub(super) struct Methods {
    router: MethodRouter<HubState>,
    names: Vec<&'static str>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn route(mut self, path: &str, methods: Methods) -> Self {
        let routes = methods.names.into_iter().map(|method| Route { method, path: path.to_owned() });
        self.list.extend(routes);
        Self { router: self.router.route(path, methods.router), ..self }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), ..self }
    }

    pub(super) fn into_router(self) -> Router<HubState> {
        self.router
    }

    pub(super) fn into_list(self) -> Vec<Route> {
        self.list
    }
}

impl Methods {
    /// What answers every other method: a refusal, and so no route.
    pub(super) fn fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, HubState>,
        T: 'static,
    {
        Self { router: self.router.fallback(handler), ..self }
    }
}

pub(super) fn any<H, T>(handler: H) -> Methods
where
    H: Handler<T, HubState>,
    T: 'static,
{
    Methods { router: routing::any(handler), names: vec!["ANY"] }
}

/// As axum has them: `get(read).put(write)`.
macro_rules! methods {
    ($($function:ident $name:literal),+) => {
        $(
            #[allow(dead_code, reason = "which method a path's list begins with is all the same")]
            pub(super) fn $function<H, T>(handler: H) -> Methods
            where
                H: Handler<T, HubState>,
                T: 'static,
            {
                Methods { router: routing::$function(handler), names: vec![$name] }
            }
        )+

        #[allow(dead_code, reason = "which method a path's list begins with is all the same")]
        impl Methods {
            $(
                pub(super) fn $function<H, T>(mut self, handler: H) -> Self
                where
                    H: Handler<T, HubState>,
                    T: 'static,
                {
                    self.names.push($name);
                    Self { router: self.router.$function(handler), ..self }
                }
            )+
        }
    };
}

methods!(delete "DELETE", get "GET", patch "PATCH", post "POST", put "PUT");
