// What went wrong, in words that say what to do. SIP's reasons are kept beside them for whoever runs the edge.

export interface Message {
  what: string;
  hint: string;
}

const BY_STATUS: Record<number, Message> = {
  400: { what: "The server did not understand this address.", hint: "Check what you typed: letters, digits and + - _ . @ are fine." },
  401: { what: "Wrong user or password.", hint: "Type them again; capital letters matter." },
  403: { what: "This is not allowed for you.", hint: "Ask whoever runs the phone system, if you think it should be." },
  404: { what: "Nobody has this name or number.", hint: "Check what you typed." },
  407: { what: "Wrong user or password.", hint: "Type them again; capital letters matter." },
  408: { what: "There was no answer.", hint: "Their phone may be off. Try again later." },
  480: { what: "They cannot be reached just now.", hint: "Their phone is not signed in, or nobody answered. Try again later." },
  481: { what: "This call has ended already.", hint: "Call again." },
  484: { what: "This number is not complete.", hint: "Check what you typed." },
  486: { what: "They are busy.", hint: "Try again in a few minutes." },
  488: { what: "The two phones have no common way to talk.", hint: "Tell whoever runs the phone system: “488, media not acceptable”." },
  491: { what: "Both sides changed the call at the same moment.", hint: "Try again." },
  503: { what: "The phone system cannot take this now.", hint: "Wait a moment and try again." },
  600: { what: "They are busy everywhere.", hint: "Try again later." },
  603: { what: "They declined the call.", hint: "Try again later." },
};

/** The words for a SIP status, or for a class of them. */
export function ofStatus(status: number, reason = ""): Message {
  const known = BY_STATUS[status];
  if (known) {
    return known;
  }
  const said = reason ? `${status} ${reason}` : `${status}`;
  if (status >= 500) {
    return { what: "The phone system could not do this.", hint: `Try again; if it stays, tell whoever runs it: “${said}”.` };
  }
  return { what: "The call was refused.", hint: `The other side said: “${said}”.` };
}

/** The words for a cause of JsSIP that came without a status. */
export function ofCause(cause: string): Message {
  switch (cause) {
    case "Connection Error":
      return { what: "The connection to the phone system is gone.", hint: "It is tried again by itself. Check your network if this stays." };
    case "Request Timeout":
    case "No Answer":
      return { what: "There was no answer.", hint: "Try again later." };
    case "Canceled":
      return { what: "The call was given up before it was answered.", hint: "" };
    case "Rejected":
    case "Busy":
      return { what: "They are busy or do not want to talk now.", hint: "Try again later." };
    case "User Denied Media Access":
      return { what: "The browser may not use your microphone.", hint: "Click the lock beside the address and allow the microphone." };
    case "WebRTC Error":
    case "Bad Media Description":
    case "Incompatible SDP":
      return { what: "The two phones have no common way to talk.", hint: "Reload the page; if it stays, tell whoever runs the phone system." };
    case "RTP Timeout":
    case "Dialog Error":
    case "Internal Error":
      return { what: "The call broke off.", hint: "Call again." };
    default:
      return { what: "The call has ended.", hint: cause };
  }
}

/** The words for a microphone that could not be had. */
export function ofMicrophone(error: unknown): Message {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return { what: "The browser may not use your microphone.", hint: "Click the lock beside the address, allow the microphone, and try again." };
    case "NotFoundError":
    case "OverconstrainedError":
      return { what: "There is no microphone.", hint: "Plug one in, or choose another one in the settings." };
    case "NotReadableError":
      return { what: "The microphone is in use.", hint: "Another program holds it: close that one and try again." };
    default:
      return window.isSecureContext
        ? { what: "The microphone does not work.", hint: name || String(error) }
        : { what: "Browsers give no microphone to this page.", hint: "Open it by https://, or on the machine itself by http://127.0.0.1." };
  }
}
