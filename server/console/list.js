// list.js - a list of any length, of which only the rows that can be seen are in the document.

const ROW = 26;
const BEYOND = 6; // rows above and below those that can be seen

class List {
  /** fill(row, item) writes into a row that has had another item. choose(item) hears of each choice; key(item) is what stays of an item. */
  constructor(box, { create, fill, choose, key }) {
    Object.assign(this, { box, create, fill, choose, key, items: [], chosen: null, follows: false, free: [], rows: new Map() });
    this.space = make("div", { className: "rows" });
    this.space.setAttribute("role", "presentation");
    box.append(this.space);
    box.addEventListener("scroll", () => this.onScroll(), { passive: true });
    box.addEventListener("keydown", event => this.onKey(event));
    box.addEventListener("click", event => this.onClick(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /** Other items in place of those that are there. The place stays. */
  set(items) {
    this.items = items;
    this.freeAll();
    this.update();
  }

  /** Items have been added at the end, and so many dropped at the front. */
  update(dropped = 0) {
    if (dropped) this.shift(dropped);
    this.space.style.height = `${this.items.length * ROW}px`;
    if (this.follows) this.box.scrollTop = this.items.length * ROW;
    this.draw();
  }

  shift(dropped) {
    this.freeAll();
    if (!this.follows) this.box.scrollTop -= dropped * ROW;
  }

  /** Free rows stay in the document for the next items: to take them out and put them in costs more than to fill them. */
  freeAll() {
    this.free.push(...this.rows.values());
    this.rows.clear();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - BEYOND);
    const last = Math.min(this.items.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + BEYOND);
    for (const [index, row] of this.rows)
      if (index < first || index >= last) {
        this.rows.delete(index);
        this.free.push(row);
      }
    for (let index = first; index < last; index++) if (!this.rows.has(index)) this.rows.set(index, this.take(index));
    for (const row of this.free.splice(0)) row.remove();
    this.mark();
  }

  take(index) {
    const row = this.free.pop() ?? this.makeRow();
    row.style.transform = `translateY(${index * ROW}px)`;
    row.dataset.index = index;
    row.id = `${this.box.id}-${index}`;
    row.setAttribute("aria-posinset", index + 1);
    this.fill(row, this.items[index]);
    return row;
  }

  makeRow() {
    const row = this.create();
    row.classList.add("item");
    row.setAttribute("role", "option");
    this.space.append(row);
    return row;
  }

  mark() {
    let active = "";
    for (const [index, row] of this.rows) {
      const chosen = this.key(this.items[index]) === this.chosen;
      row.setAttribute("aria-selected", chosen);
      row.setAttribute("aria-setsize", this.items.length);
      if (chosen) active = row.id;
    }
    if (active) this.box.setAttribute("aria-activedescendant", active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  onScroll() {
    if (this.canFollow) this.follows = this.box.scrollTop + this.box.clientHeight >= this.items.length * ROW - ROW;
    this.draw();
  }

  onClick(event) {
    const row = event.target.closest(".item");
    if (row) this.pick(Number(row.dataset.index));
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !this.items.length) return;
    event.preventDefault();
    this.pick(Math.min(this.items.length - 1, Math.max(0, this.place(steps[event.key]) + steps[event.key])));
  }

  /** Where the chosen item is. Without one the first step leads to the end that it leads away from. */
  place(step) {
    const at = this.items.findIndex(item => this.key(item) === this.chosen);
    if (at >= 0) return at;
    return step > 0 ? -1 : this.items.length;
  }

  pick(index) {
    this.chosen = this.key(this.items[index]);
    this.reveal(index);
    this.draw();
    this.choose(this.items[index]);
  }

  unpick() {
    this.chosen = null;
    this.mark();
  }

  reveal(index) {
    const top = index * ROW;
    const low = top + ROW - this.box.clientHeight;
    if (this.box.scrollTop > top) this.box.scrollTop = top;
    if (this.box.scrollTop < low) this.box.scrollTop = low;
  }
}
