//! What becomes of a request: the table of the room's page, row by row.

use compact_str::CompactString;

use super::{OwnRoute, Proxy};
use crate::sip::{ACCEPT, ALLOW, Draft, HeaderName, Message, Method, SUPPORTED, Scheme, Uri, is_allowed, unsupported};
use crate::transport::{Flow, FlowSeal};

/// From which side of the edge a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A phone or a trunk: anything that is not the PBX.
    Phone,
    /// The PBX.
    Pbx,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The edge is its destination: send this.
    AnswerHere(Draft),
    /// Pass it to the PBX, by [`Proxy::forward`]; a SUBSCRIBE that makes a dialog by [`Proxy::forward_recorded`].
    ForwardToPbx,
    /// Pass it to this flow, by [`Proxy::forward`] without a target: its Request-URI is the contact already.
    ToFlow(Flow),
    /// Pass it to the binding of this user (unescaped), with its contact as the target. The user may have none: 480.
    ToBinding(CompactString),
    /// Send this refusal.
    Refuse(Draft),
    /// INVITE, ACK, CANCEL and REGISTER: not a matter of this room. ACK must not even be refused (RFC 3261 §17.1.1.3).
    NotMine,
}

/// Where a request may go, as far as its method says.
enum Kind {
    /// It only has a meaning in a dialog, and a dialog of ours would have taken it.
    OnlyInDialog,
    /// REFER: it acts on the edge, so that it is never passed.
    Refer,
    Options,
    Message,
    Subscribe,
    Notify,
    Publish,
}

impl Proxy {
    /// Decides about a request that belongs to no dialog of the edge. The engine has matched dialogs before, and has
    /// challenged an untrusted sender unless the PBX will (LESSONS 40).
    pub fn what_to_do(&self, request: &Message, side: Side, seal: &FlowSeal) -> Decision {
        let kind = match request.method() {
            Method::Invite | Method::Ack | Method::Cancel | Method::Register => return Decision::NotMine,
            Method::Extension(_) => return self.not_a_method(request, 501),
            Method::Bye | Method::Info | Method::Prack | Method::Update => Kind::OnlyInDialog,
            Method::Refer => Kind::Refer,
            Method::Options => Kind::Options,
            Method::Message => Kind::Message,
            Method::Subscribe => Kind::Subscribe,
            Method::Notify => Kind::Notify,
            Method::Publish => Kind::Publish,
        };
        let Ok(uri) = Uri::parse(request.request_uri().unwrap_or_default()) else {
            return Decision::Refuse(*self.refuse(request, 400, "Bad Request-URI"));
        };
        let in_dialog = request.to_tag().is_some();
        match (kind, self.flow_of_route(request, seal)) {
            (_, OwnRoute::Forged) => Decision::Refuse(*self.refuse(request, 403, "Route Is Not Ours")),
            (Kind::OnlyInDialog, _) if !is_allowed(request.method()) => self.not_a_method(request, 405),
            (Kind::OnlyInDialog, _) => Decision::Refuse(self.answer(request, 481)),
            (Kind::Refer, _) if in_dialog => Decision::Refuse(self.answer(request, 481)),
            (Kind::Refer, _) => Decision::Refuse(*self.refuse(request, 403, "REFER Outside A Dialog")),
            (_, OwnRoute::Sealed(flow)) => self.along_sealed_route(request, side, flow),
            (_, OwnRoute::None | OwnRoute::Plain) if in_dialog => Decision::Refuse(self.answer(request, 481)),
            (kind, OwnRoute::None | OwnRoute::Plain) => self.by_request_uri(request, side, &kind, &uri),
        }
    }

    /// The Route says where: a phone reaches nothing but the PBX by it, the PBX nothing but the phone that was sealed in.
    fn along_sealed_route(&self, request: &Message, side: Side, flow: Flow) -> Decision {
        match (side, &self.config.pbx_host) {
            (Side::Pbx, _) => Decision::ToFlow(flow),
            (Side::Phone, Some(_)) => Decision::ForwardToPbx,
            (Side::Phone, None) => Decision::Refuse(self.answer(request, 403)),
        }
    }

    fn by_request_uri(&self, request: &Message, side: Side, kind: &Kind, uri: &Uri) -> Decision {
        let behind = self.config.pbx_host.is_some();
        let to_user = || self.to_binding(request, side, uri);
        match (kind, side) {
            (Kind::Options, _) if uri.user().is_none() && self.is_here(uri) => self.options(request),
            // RFC 3261 §11: whoever may not pass it on answers as if it were meant: a traceroute for proxies.
            (Kind::Options, _) if request.number(HeaderName::MaxForwards) == Some(0) => self.options(request),
            (Kind::Options | Kind::Message | Kind::Subscribe | Kind::Publish, Side::Phone) if behind => {
                Decision::ForwardToPbx
            }
            (Kind::Options | Kind::Message, Side::Phone | Side::Pbx) => to_user(),
            (Kind::Subscribe | Kind::Notify, Side::Pbx) => to_user(),
            // RFC 6665 §4.1.3: a NOTIFY that matches no subscription.
            (Kind::Notify, Side::Phone) => Decision::Refuse(self.answer(request, 481)),
            (Kind::Subscribe, Side::Phone) | (Kind::Publish, Side::Phone | Side::Pbx) => {
                self.not_a_method(request, 405)
            }
            (Kind::OnlyInDialog | Kind::Refer, _) => Decision::Refuse(self.answer(request, 481)),
        }
    }

    /// The PBX writes a phone's contact into the Request-URI, whatever host it has; a phone must name this domain, or the
    /// edge would be a relay into foreign ones.
    fn to_binding(&self, request: &Message, side: Side, uri: &Uri) -> Decision {
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel | Scheme::Other => return Decision::Refuse(self.answer(request, 416)),
        }
        let ours = match side {
            Side::Pbx => true,
            Side::Phone => self.is_here(uri),
        };
        match uri.user_unescaped().filter(|user| ours && !user.is_empty()) {
            Some(user) => Decision::ToBinding(user.into()),
            None => Decision::Refuse(self.answer(request, 404)),
        }
    }

    /// RFC 3261 §11.2: what an INVITE here would get.
    fn options(&self, request: &Message) -> Decision {
        let unknown = unsupported(request);
        if !unknown.is_empty() {
            let refusal = self
                .answer(request, 420)
                .header(HeaderName::Unsupported, unknown.join(", "));
            return Decision::Refuse(refusal);
        }
        let answer = self.answer(request, 200).header(HeaderName::Allow, ALLOW);
        Decision::AnswerHere(
            answer
                .header(HeaderName::Accept, ACCEPT)
                .header(HeaderName::Supported, SUPPORTED),
        )
    }

    /// RFC 3261 §8.2.1: 405 for a method that is known and not allowed here, 501 for an unknown one; both say what is.
    fn not_a_method(&self, request: &Message, status: u16) -> Decision {
        Decision::Refuse(self.answer(request, status).header(HeaderName::Allow, ALLOW))
    }
}
