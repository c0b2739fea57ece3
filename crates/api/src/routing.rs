//! One address and the methods it is for. Every other method is answered with 405 and the list of these.
//!
//! Each part of the API lists its addresses in one function, from which they are both mounted and compared with the
//! OpenAPI document.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::{Any, Get, Guard, Head};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route, guard, web};

use crate::error::ApiError;

/// An address under construction.
pub(crate) struct Endpoint {
    #[cfg_attr(
        not(all(test, feature = "bundled-demo")),
        allow(dead_code, reason = "read by the test that compares routes with the document")
    )]
    pub(crate) path: String,
    resource: Resource,
    pub(crate) allow: Vec<&'static str>,
}

impl Endpoint {
    /// The address `path`.
    pub(crate) fn at(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { resource: web::resource(path.as_str()), path, allow: Vec::new() }
    }

    fn on<F, Args>(mut self, methods: &'static str, is_method: impl Guard + 'static, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.allow.push(methods);
        self.resource = self.resource.route(Route::new().guard(is_method).to(handler));
        self
    }

    /// Answers GET, and HEAD with the same headers.
    pub(crate) fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("GET, HEAD", Any(Get()).or(Head()), handler)
    }

    /// Answers POST.
    pub(crate) fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("POST", guard::Post(), handler)
    }

    /// Answers PATCH.
    #[cfg(feature = "bundled-demo")]
    pub(crate) fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("PATCH", guard::Patch(), handler)
    }

    /// Answers DELETE.
    #[cfg(feature = "bundled-demo")]
    pub(crate) fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("DELETE", guard::Delete(), handler)
    }
}

/// Mounts addresses.
pub(crate) fn mount(endpoints: Vec<Endpoint>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        for endpoint in endpoints {
            config.service(endpoint);
        }
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        let allow = self.allow.join(", ");
        let refuse = move || {
            let error = ApiError::MethodNotAllowed { allow: allow.clone() };
            async move { Err::<HttpResponse, _>(error) }
        };
        self.resource.default_service(web::to(refuse)).register(config);
    }
}
