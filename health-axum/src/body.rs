//! The body of an answer: the endpoint's or the application's.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use health_core::bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer of [`HealthService`](crate::HealthService): that of the endpoint, or that of the inner service.
    #[derive(Debug)]
    pub struct HealthBody<R> {
        #[pin]
        content: Content<R>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Content<R> {
        /// What is left of the endpoint's bytes.
        Health { bytes: Option<Bytes> },
        Application { #[pin] body: R },
    }
}

impl<R> HealthBody<R> {
    pub(crate) fn health(bytes: Bytes) -> Self {
        Self { content: Content::Health { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }

    pub(crate) fn application(body: R) -> Self {
        Self { content: Content::Application { body } }
    }
}

impl<R> Body for HealthBody<R>
where
    R: Body,
    R::Data: From<Bytes>,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        match self.project().content.project() {
            Projected::Health { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into())))),
            Projected::Application { body } => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Health { bytes } => bytes.is_none(),
            Content::Application { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Health { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Application { body } => body.size_hint(),
        }
    }
}
