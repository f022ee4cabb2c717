// What a PAC file may call, after Netscape's description of "Navigator Proxy Auto-Config File
// Format" and, for the names in Ex, Microsoft's "IPv6 Extensions to Navigator Auto-Config".
// Nothing here reaches out: __known maps names to their addresses, __mine lists this
// machine's; a name that is not in there yet is put into __missing, and the script is run
// again when it is known.
var __missing = [];

function alert() {}

function isPlainHostName(host) {
  return host.indexOf(".") < 0;
}

function dnsDomainIs(host, domain) {
  host = host.toLowerCase();
  domain = domain.toLowerCase();
  return host.length >= domain.length && host.slice(-domain.length) === domain;
}

function localHostOrDomainIs(host, full) {
  host = host.toLowerCase();
  full = full.toLowerCase();
  return host === full || (isPlainHostName(host) && full.indexOf(host + ".") === 0);
}

function dnsDomainLevels(host) {
  return host.split(".").length - 1;
}

function __addresses(host) {
  host = String(host).toLowerCase();
  if (__ipv4(host) !== null || __ipv6(host) !== null) return [host];
  if (Object.prototype.hasOwnProperty.call(__known, host)) return __known[host];
  if (__missing.indexOf(host) < 0) __missing.push(host);
  return [];
}

function __first4(addresses) {
  for (var i = 0; i < addresses.length; i++) {
    if (__ipv4(addresses[i]) !== null) return addresses[i];
  }
  return null;
}

function dnsResolve(host) {
  return __first4(__addresses(host));
}

function dnsResolveEx(host) {
  return __addresses(host).join(";");
}

function isResolvable(host) {
  return dnsResolve(host) !== null;
}

function isResolvableEx(host) {
  return __addresses(host).length > 0;
}

function myIpAddress() {
  return __first4(__mine) || "127.0.0.1";
}

function myIpAddressEx() {
  return __mine.join(";");
}

function sortIpAddressList(list) {
  return list;
}

function getClientVersion() {
  return "1.0";
}

// A dotted address as its four bytes, or null.
function __ipv4(text) {
  var match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  var bytes = match.slice(1).map(Number);
  return bytes.every(function (byte) { return byte < 256; }) ? bytes : null;
}

// An IPv6 address as its sixteen bytes, or null.
function __ipv6(text) {
  if (text.indexOf(":") < 0) return null;
  var tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    var last = __ipv4(tail[2]);
    if (last === null) return null;
    text = tail[1] + (last[0] * 256 + last[1]).toString(16) + ":" +
      (last[2] * 256 + last[3]).toString(16);
  }
  var halves = text.split("::");
  if (halves.length > 2) return null;
  var head = halves[0] ? halves[0].split(":") : [];
  var rest = halves.length === 2 && halves[1] ? halves[1].split(":") : [];
  var gap = 8 - head.length - rest.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return null;
  var groups = head.concat(new Array(gap).fill("0"), rest);
  var bytes = [];
  for (var i = 0; i < groups.length; i++) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(groups[i])) return null;
    var value = parseInt(groups[i], 16);
    bytes.push(value >> 8, value & 255);
  }
  return bytes;
}

function convert_addr(text) {
  var bytes = __ipv4(text);
  return bytes === null ? 0 : (bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
}

function isInNet(host, pattern, mask) {
  var address = dnsResolve(host);
  if (address === null || __ipv4(pattern) === null || __ipv4(mask) === null) return false;
  return (convert_addr(address) & convert_addr(mask)) ===
    (convert_addr(pattern) & convert_addr(mask));
}

function isInNetEx(address, network) {
  var parts = String(network).split("/");
  var mine = __ipv4(address) || __ipv6(address);
  var theirs = __ipv4(parts[0]) || __ipv6(parts[0]);
  var bits = Number(parts[1]);
  if (!mine || !theirs || mine.length !== theirs.length || parts.length !== 2) return false;
  if (!(bits >= 0 && bits <= mine.length * 8)) return false;
  for (var i = 0; i < mine.length && bits > 0; i++, bits -= 8) {
    var mask = bits >= 8 ? 255 : (255 << (8 - bits)) & 255;
    if ((mine[i] & mask) !== (theirs[i] & mask)) return false;
  }
  return true;
}

// A shell's pattern, with * and ? alone; in time by the product of the lengths at worst.
function shExpMatch(text, pattern) {
  text = String(text);
  pattern = String(pattern);
  var at = 0, p = 0, star = -1, resume = 0;
  while (at < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = at;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[at])) {
      p++;
      at++;
    } else if (star >= 0) {
      p = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

var __days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
var __months = [
  "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

// The arguments without a final "GMT", and the clock that they mean.
function __clock(given) {
  var list = Array.prototype.slice.call(given);
  var utc = list[list.length - 1] === "GMT";
  if (utc) list.pop();
  var now = new Date(__now), by = utc ? "getUTC" : "get";
  return {
    args: list,
    day: now[by + "Day"](),
    date: now[by + "Date"](),
    month: now[by + "Month"](),
    year: now[by + "FullYear"](),
    seconds: now[by + "Hours"]() * 3600 + now[by + "Minutes"]() * 60 + now[by + "Seconds"](),
  };
}

// Whether a value lies in a range that may run over the end, as FRI to MON does.
function __within(value, from, to) {
  return from <= to ? from <= value && value <= to : value >= from || value <= to;
}

function weekdayRange() {
  var clock = __clock(arguments);
  var from = __days.indexOf(clock.args[0]);
  var to = clock.args.length > 1 ? __days.indexOf(clock.args[1]) : from;
  return from >= 0 && to >= 0 && __within(clock.day, from, to);
}

function dateRange() {
  var clock = __clock(arguments);
  var half = clock.args.length > 1 ? clock.args.length / 2 : 1;
  var now = [], from = [], to = [];
  for (var i = 0; i < half; i++) {
    var first = clock.args[i], last = clock.args.length > 1 ? clock.args[half + i] : first;
    var month = __months.indexOf(first) >= 0;
    if (month) {
      first = __months.indexOf(first);
      last = __months.indexOf(last);
    }
    var rank = month ? 1 : first > 31 ? 0 : 2;
    now[rank] = [clock.year, clock.month, clock.date][rank];
    from[rank] = first;
    to[rank] = last;
  }
  function number(parts) {
    return (parts[0] || 0) * 10000 + (parts[1] || 0) * 100 + (parts[2] || 0);
  }
  if (now[0] !== undefined) return number(from) <= number(now) && number(now) <= number(to);
  return __within(number(now), number(from), number(to));
}

function timeRange() {
  var clock = __clock(arguments), args = clock.args;
  if (args.length === 1) return Math.floor(clock.seconds / 3600) === args[0];
  var half = args.length / 2, from = 0, to = 0;
  for (var i = 0; i < half; i++) {
    from += args[i] * [3600, 60, 1][i];
    to += args[half + i] * [3600, 60, 1][i];
  }
  return __within(clock.seconds, from, to);
}
