// Shows /status.json and asks again once a second; nothing is fetched from anywhere else.
const TONE = { CLEAR: "good", UNSURE: "warn", PROTECT: "bad", live: "good", ended: "", done: "good", failed: "bad" };
const byId = (id) => document.getElementById(id);
let version = -1;

const make = (tag, text, tone) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (tone) node.className = tone;
  return node;
};

const fill = (id, entries, draw) => {
  const list = byId(id);
  list.replaceChildren(...entries.map(draw));
  document.querySelector(`.empty[data-for="${id}"]`).hidden = entries.length > 0;
};

const SHOWN = [["verdict", "verdict"], ["verdict_reason", "because"], ["presence", "presence"], ["state", "state"],
  ["wait", "waits"], ["cover", "cover"], ["partner", "partner"], ["media", "video"]];

const pictures = (facts) => {
  const name = facts.name || facts.subject;
  const shown = [[facts.preview, `What ${name} sends now`], [facts.partner_preview, `What ${name} sees of the partner now`]];
  return shown.filter(([source]) => source).map(([source, text]) => {
    const picture = make("img");
    picture.crossOrigin = "anonymous"; // the previews allow pages of this machine, and only these
    picture.src = source;
    picture.alt = text;
    picture.title = text;
    return picture;
  });
};

const person = (facts) => {
  const card = make("li");
  card.append(make("h3", facts.name || facts.subject));
  card.prepend(...pictures(facts));
  const list = make("dl");
  for (const [key, label] of SHOWN) {
    if (facts[key]) list.append(make("dt", label), make("dd", facts[key], TONE[facts[key]]));
  }
  card.append(list);
  return card;
};

// A card is redrawn only when it changed, so that its moving picture does not start again each second.
const cards = new Map();
const drawPeople = (people) => {
  fill("people", people, (facts) => {
    const state = JSON.stringify(facts);
    const known = cards.get(facts.subject);
    if (known && known.state === state) return known.node;
    const node = person(facts);
    for (const old of known?.node.querySelectorAll("img") ?? []) {
      const fresh = [...node.querySelectorAll("img")].find((picture) => picture.src === old.src);
      if (fresh) fresh.replaceWith(old);
    }
    cards.set(facts.subject, { state, node });
    return node;
  });
};

const match = (facts) => {
  const row = make("tr");
  row.append(make("td", facts.match.slice(0, 8)), make("td", (facts.people || []).join(" and ")),
    make("td", facts.end_reason ? `${facts.state}: ${facts.end_reason}` : facts.state, TONE[facts.state]),
    make("td", (facts.reasons || []).join(", ")));
  return row;
};

const line = (facts) => {
  const item = make("li", `${facts.from}: ${facts.text}`);
  item.append(make("span", facts.untranslated ? "untranslated" : facts.tier, `tag ${facts.untranslated ? "warn" : ""}`));
  return item;
};

const step = (facts) => make("li", `${facts.state === "done" ? "✓" : facts.state === "failed" ? "✗" : "…"} ${facts.title}${facts.detail ? ` – ${facts.detail}` : ""}`, TONE[facts.state]);

const tell = (text) => { if (byId("connection").textContent !== text) byId("connection").textContent = text; };

const refresh = async () => {
  try {
    const answer = await fetch(`/status.json?since=${version}`, { signal: AbortSignal.timeout(5000) });
    if (answer.status === 200) {
      const state = await answer.json();
      version = state.version;
      drawPeople(state.people);
      fill("matches", [...state.matches].reverse(), match);
      fill("lines", state.lines.slice(-20), line);
      fill("steps", [...state.steps].sort((one, two) => one.order - two.order), step);
    }
    tell("live");
  } catch {
    tell("the platform does not answer");
    version = -1;
  }
  setTimeout(refresh, 1000);
};
refresh();
