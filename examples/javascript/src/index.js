// A Cloudflare Worker in plain JavaScript: a page, a form and a counter on D1.

const HOME = `<!doctype html>
<title>Hello</title>
<h1>Hello from JavaScript</h1>
<ul>
<li><a href="/form">a form</a></li>
<li><a href="/counter">a counter</a></li>
</ul>
`;

const FORM = `<!doctype html>
<title>Form</title>
<form method="post">
<label>Your name <input name="name" required></label>
<button>Send</button>
</form>
`;

const CREATE =
  "CREATE TABLE IF NOT EXISTS page_views (name TEXT PRIMARY KEY, value INTEGER NOT NULL)";

// One statement, so that two requests at once never read the same value.
const INCREMENT = `
INSERT INTO page_views (name, value) VALUES ('visits', 1)
ON CONFLICT (name) DO UPDATE SET value = value + 1
RETURNING value
`;

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };

const escape = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

const html = (body) =>
  new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });

async function form(request) {
  if (request.method === "GET" || request.method === "HEAD") return html(FORM);
  if (request.method !== "POST") {
    return new Response("Method Not Allowed\n", { status: 405, headers: { allow: "GET, POST" } });
  }
  const name = (await request.formData()).get("name");
  if (typeof name !== "string" || name === "") {
    return new Response("Please give a name.\n", { status: 400 });
  }
  return html(`<!doctype html>\n<p>Hello, ${escape(name)}!</p>\n`);
}

async function counter(env) {
  // A session sees its own writes, also where a database has read replicas.
  const database = env.DB.withSession("first-primary");
  await database.prepare(CREATE).run();
  const value = await database.prepare(INCREMENT).first("value");
  return new Response(`${value}\n`);
}

export default {
  async fetch(request, env) {
    switch (new URL(request.url).pathname) {
      case "/":
        return html(HOME);
      case "/form":
        return form(request);
      case "/counter":
        return counter(env);
      default:
        return new Response("Not Found\n", { status: 404 });
    }
  },
};
