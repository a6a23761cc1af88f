//! The description of these paths, for `/openapi.json`.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Required, ResponseBuilder};

const GET: HttpMethod = HttpMethod::Get;
const POST: HttpMethod = HttpMethod::Post;
const DELETE: HttpMethod = HttpMethod::Delete;

/// Path behind the account or the workspace, method, status, the parameters of a form, what it does.
type Row = (&'static str, HttpMethod, &'static str, &'static str, &'static str);

const PAGE: &str = "PageSize Page";
const PARTICIPANT: &str = "Muted Hold HoldUrl HoldMethod AnnounceUrl AnnounceMethod WaitUrl WaitMethod BeepOnExit \
    EndConferenceOnExit Coaching CallSidToCoach";

#[rustfmt::skip]
const ACCOUNT: [Row; 34] = [
    ("/Calls.json", GET, "200", "To From ParentCallSid Status StartTime StartTime< StartTime> EndTime EndTime< EndTime> PageSize Page", "List calls"),
    ("/Calls.json", POST, "201", "To From Url Twiml ApplicationSid Method FallbackUrl FallbackMethod StatusCallback StatusCallbackMethod \
        StatusCallbackEvent Timeout Record SendDigits SipAuthUsername SipAuthPassword CallerId TimeLimit", "Make a call"),
    ("/Calls/{call}.json", GET, "200", "", "Show a call"),
    ("/Calls/{call}.json", POST, "200", "Url Method Twiml FallbackUrl FallbackMethod Status StatusCallback StatusCallbackMethod TimeLimit", "Redirect or end a call"),
    ("/Calls/{call}.json", DELETE, "204", "", "Forget a call that is over"),
    ("/Calls/{call}/Recordings.json", GET, "200", PAGE, "List a call's recordings"),
    ("/Calls/{call}/Recordings.json", POST, "201", "RecordingStatusCallback", "Record a call"),
    ("/Calls/{call}/Recordings/{recording}.json", GET, "200", "", "Show a recording"),
    ("/Calls/{call}/Recordings/{recording}.json", POST, "200", "Status", "Stop a recording"),
    ("/Calls/{call}/Recordings/{recording}.json", DELETE, "204", "", "Forget a recording"),
    ("/Conferences.json", GET, "200", "FriendlyName Status DateCreated DateUpdated PageSize Page", "List conferences"),
    ("/Conferences/{conference}.json", GET, "200", "", "Show a conference"),
    ("/Conferences/{conference}.json", POST, "200", "Status AnnounceUrl AnnounceMethod", "End a conference, or announce to all in it"),
    ("/Conferences/{conference}/Participants.json", GET, "200", "Muted Hold Coaching PageSize Page", "List participants"),
    ("/Conferences/{conference}/Participants.json", POST, "201", "From To StatusCallback StatusCallbackMethod StatusCallbackEvent Label Timeout Record Muted \
        Beep StartConferenceOnEnter EndConferenceOnExit WaitUrl WaitMethod MaxParticipants ConferenceRecord ConferenceStatusCallback \
        ConferenceStatusCallbackMethod ConferenceStatusCallbackEvent Coaching CallSidToCoach CallerId TimeLimit SipAuthUsername SipAuthPassword", "Call somebody in"),
    ("/Conferences/{conference}/Participants/{call}.json", GET, "200", "", "Show a participant"),
    ("/Conferences/{conference}/Participants/{call}.json", POST, "200", PARTICIPANT, "Hold, mute, coach, announce"),
    ("/Conferences/{conference}/Participants/{call}.json", DELETE, "204", "", "Send a participant out"),
    ("/Conferences/{conference}/Recordings.json", GET, "200", PAGE, "List a conference's recordings"),
    ("/Conferences/{conference}/Recordings/{recording}.json", GET, "200", "", "Show a recording"),
    ("/Conferences/{conference}/Recordings/{recording}.json", POST, "200", "Status", "Stop a recording"),
    ("/Conferences/{conference}/Recordings/{recording}.json", DELETE, "204", "", "Forget a recording"),
    ("/Recordings.json", GET, "200", "CallSid ConferenceSid PageSize Page", "List recordings"),
    ("/Recordings/{recording}.json", GET, "200", "", "Show a recording"),
    ("/Recordings/{recording}.json", DELETE, "204", "", "Forget a recording"),
    ("/Queues.json", GET, "200", PAGE, "List queues"),
    ("/Queues.json", POST, "201", "FriendlyName MaxSize", "Open a queue"),
    ("/Queues/{queue}.json", GET, "200", "", "Show a queue"),
    ("/Queues/{queue}.json", POST, "200", "FriendlyName MaxSize", "Change a queue"),
    ("/Queues/{queue}.json", DELETE, "204", "", "Remove an empty queue"),
    ("/Queues/{queue}/Members.json", GET, "200", PAGE, "List who waits"),
    ("/Queues/{queue}/Members/{call}.json", GET, "200", "", "Show one who waits"),
    ("/Queues/{queue}/Members/{call}.json", POST, "200", "Url Method", "Send one who waits to another document"),
    ("/Queues/{queue}/Members/Front.json", GET, "200", "", "Show who waits longest"),
];

/// The lists of a workspace, and the parameters of what is in them.
const LISTS: [(&str, &str); 5] = [
    ("Activities", "FriendlyName Available"),
    ("Workers", "FriendlyName ActivitySid Attributes"),
    ("TaskQueues", "FriendlyName TargetWorkers MaxReservedWorkers TaskOrder"),
    (
        "Workflows",
        "FriendlyName Configuration AssignmentCallbackUrl FallbackAssignmentCallbackUrl TaskReservationTimeout",
    ),
    (
        "Tasks",
        "Attributes WorkflowSid Timeout Priority TaskChannel TaskQueueSid AssignmentStatus Reason",
    ),
];

const RESERVATION: &str = "ReservationStatus Instruction To From Timeout Url RedirectUrl RedirectCallSid PostWorkActivitySid \
    SupervisorMode Supervisor EndConferenceOnExit EndConferenceOnCustomerExit BeepOnCustomerEntrance";

/// The description of these paths, for `/openapi.json`.
pub fn openapi() -> OpenApi {
    let mut paths = PathsBuilder::new().build();
    let mut add = |path: String, method: HttpMethod, status: &str, fields: &str, summary: &str| {
        let operation = operation(&path, &method, status, fields, summary);
        paths.add_path_operation(path, vec![method], operation);
    };
    for (path, method, status, fields, summary) in ACCOUNT {
        add(
            format!("/2010-04-01/Accounts/{{account}}{path}"),
            method,
            status,
            fields,
            summary,
        );
    }
    let mut whole = |list: &str, one: &str, fields: &str, what: &str| {
        add(list.to_owned(), GET, "200", PAGE, &format!("List: {what}"));
        add(list.to_owned(), POST, "201", fields, &format!("Add: {what}"));
        add(one.to_owned(), GET, "200", "", &format!("Show: {what}"));
        add(one.to_owned(), POST, "200", fields, &format!("Change: {what}"));
        add(one.to_owned(), DELETE, "204", "", &format!("Remove: {what}"));
    };
    let workspace = "/v1/Workspaces/{workspace}";
    whole("/v1/Workspaces", workspace, "FriendlyName", "workspaces");
    for (name, fields) in LISTS {
        let list = format!("{workspace}/{name}");
        whole(&list, &format!("{list}/{{sid}}"), fields, name);
    }
    for of in ["Tasks/{task}", "Workers/{worker}"] {
        let list = format!("{workspace}/{of}/Reservations");
        add(
            list.clone(),
            GET,
            "200",
            "ReservationStatus PageSize Page",
            "List reservations",
        );
        add(format!("{list}/{{sid}}"), GET, "200", "", "Show a reservation");
        add(
            format!("{list}/{{sid}}"),
            POST,
            "200",
            RESERVATION,
            "Change a reservation, or instruct",
        );
    }
    let basic = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("warmline")
                .version(env!("CARGO_PKG_VERSION"))
                .build(),
        )
        .paths(paths)
        .components(Some(ComponentsBuilder::new().security_scheme("account", basic).build()))
        .build()
}

fn operation(
    path: &str,
    method: &HttpMethod,
    status: &str,
    fields: &str,
    summary: &str,
) -> utoipa::openapi::path::Operation {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let answer = |what: &str| ResponseBuilder::new().description(what).build();
    let mut operation = OperationBuilder::new()
        .tag("twilio")
        .summary(Some(summary))
        .security(SecurityRequirement::new::<_, [&str; 0], &str>("account", []))
        .response(status, answer("Done"))
        .response(
            "400",
            answer("A parameter or a state that does not allow it: {code, message, more_info, status}"),
        )
        .response("401", answer("No account or key of this edge"))
        .response("404", answer("There is no such thing"));
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        operation = operation.parameter(parameter.required(Required::True).schema(Some(text())));
    }
    if *method == GET {
        for name in fields.split_whitespace() {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            operation = operation.parameter(parameter.required(Required::False).schema(Some(text())));
        }
    } else if !fields.is_empty() {
        let form = fields
            .split_whitespace()
            .fold(ObjectBuilder::new(), |form, name| form.property(name, text()));
        let content = ContentBuilder::new().schema(Some(form.build())).build();
        let body = RequestBodyBuilder::new().content("application/x-www-form-urlencoded", content);
        operation = operation.request_body(Some(body.build()));
    }
    operation.build()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_path_and_method_is_described() {
        let json = serde_json::to_value(super::openapi()).unwrap();
        let paths = json["paths"].as_object().unwrap();
        let participant = &paths["/2010-04-01/Accounts/{account}/Conferences/{conference}/Participants/{call}.json"];
        for method in ["get", "post", "delete"] {
            assert!(participant[method]["responses"].is_object(), "{method}");
        }
        assert_eq!(participant["get"]["parameters"].as_array().unwrap().len(), 3);
        assert!(paths["/v1/Workspaces/{workspace}/Workers/{sid}"]["delete"].is_object());
    }
}
