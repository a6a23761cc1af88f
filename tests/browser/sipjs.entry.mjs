// What the tests' pages get of SIP.js.
import * as SIP from 'sip.js';

window.SIP = SIP;
