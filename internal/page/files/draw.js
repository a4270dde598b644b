// What the page is made of. Text is only ever set as text: addresses and error texts come
// from other machines.

export function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

// show replaces the content of an element, unless it is the same: a screen reader would read
// it again, and a reader would lose the selected text.
export function show(id, ...children) {
  const next = element('div', {}, ...children);
  const e = document.getElementById(id);
  if (e.dataset.shown === next.textContent && e.childElementCount === next.childElementCount) return;
  e.dataset.shown = next.textContent;
  e.replaceChildren(...next.childNodes);
}

export function fact(name, value, mood) {
  return element('div', {}, element('dt', {}, name), element('dd', { class: mood }, String(value)));
}

// table has cells that are texts, or {text, mood, wrap}.
export function table(caption, heads, rows) {
  const cell = (c) => (typeof c === 'object' && c !== null ? c : { text: c });
  return element('table', {},
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, ...heads.map((h) => element('th', { scope: 'col' }, h)))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map(cell).map((c, i) =>
      element(i === 0 ? 'th' : 'td', { scope: i === 0 ? 'row' : null, class: [c.mood, c.wrap ? 'wrap' : ''].join(' ').trim() || null }, String(c.text ?? '')))))));
}

const space = 'http://www.w3.org/2000/svg';

export function shape(name, attributes, ...children) {
  const e = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// timeline draws the failovers of the last while: a bar for as long as callers had no master.
export function timeline(failovers, from, to, width) {
  const x = (t) => 10 + ((t - from) / (to - from)) * (width - 20);
  const svg = shape('svg', { viewBox: `0 0 ${width} 46`, role: 'img', 'aria-label': `${failovers.length} failovers since ${clock(from)}` });
  svg.append(shape('line', { class: 'axis', x1: 10, x2: width - 10, y1: 20, y2: 20 }));
  const parts = width < 500 ? 2 : 4;
  for (let i = 0; i <= parts; i++) {
    const t = from + ((to - from) * i) / parts;
    svg.append(shape('text', { x: x(t), y: 42, 'text-anchor': i === 0 ? 'start' : i === parts ? 'end' : 'middle' }, clock(t)));
  }
  for (const f of failovers) {
    const end = Date.parse(f.at);
    if (end < from) continue;
    const begin = x(Math.max(from, end - f.blackoutMs));
    svg.append(shape('rect', { class: 'away', x: begin, y: 10, width: Math.max(3, x(end) - begin), height: 20 },
      shape('title', {}, `${f.cause}: ${f.from} to ${f.to}, no master for ${duration(f.blackoutMs / 1000)}`)));
    svg.append(shape('circle', { class: 'mark', cx: Math.max(begin + 3, x(end)), cy: 20, r: 4 }));
  }
  return svg;
}

// rates draws reads a second.
export function rates(values, width) {
  const height = 70, most = Math.max(1, ...values);
  const points = values.map((v, i) => `${(i * width) / Math.max(1, values.length - 1)},${height - (v / most) * (height - 16)}`);
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height + 2}`, role: 'img', 'aria-label': `reads a second, ${count(Math.round(values.at(-1) ?? 0))} now, ${count(Math.round(most))} at most` });
  svg.append(shape('polyline', { class: 'rate', points: points.join(' ') }));
  svg.append(shape('text', { x: 2, y: 11 }, `${count(Math.round(most))} reads a second at most in the last ${duration(values.length)}`));
  return svg;
}

export const count = (n) => Number(n ?? 0).toLocaleString('en-US').replaceAll(',', '\u202f');

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${n >= 10 || Number.isInteger(n) ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const clock = (t) => new Date(t).toLocaleTimeString('en-GB');
export const share = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : '–');
export const ago = (from, now) => `${duration(Math.max(0, (now - Date.parse(from)) / 1000))} ago`;
