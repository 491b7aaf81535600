// XEP-0004: Data Forms  https://xmpp.org/extensions/xep-0004.html
import { type Element, el, elementsOf, textOf } from './element.ts'

export const formsNs = 'jabber:x:data'

export type Field = Readonly<{ var: string; type: string }>

/** What a submitted form says, by field. Null: it is not a form of this type. */
export function readForm(form: Element, formType: string): ReadonlyMap<string, readonly string[]> | null {
  if (form.attrs.type !== 'submit') return null
  const fields = elementsOf(form).filter(({ name, ns }) => name === 'field' && ns === formsNs)
  const values = new Map(fields.map((field) => [field.attrs.var ?? '', valuesOf(field)]))
  return values.get('FORM_TYPE')?.[0] === formType ? values : null
}

function valuesOf(field: Element): readonly string[] {
  return elementsOf(field)
    .filter(({ name, ns }) => name === 'value' && ns === formsNs)
    .map(textOf)
}

/** An empty form. */
export function toForm(formType: string, fields: readonly Field[]): Element {
  const hidden = el('field', formsNs, { type: 'hidden', var: 'FORM_TYPE' }, el('value', formsNs, {}, formType))
  const shown = fields.map((field) => el('field', formsNs, { type: field.type, var: field.var }))
  return el('x', formsNs, { type: 'form' }, hidden, ...shown)
}
