{#- One number for an event id on a day: the grain in which an event is itself and not a repetition. -#}
{% macro event_id_day_hash(event_id, event_date) -%}
    {{ hash64(event_id ~ " || cast(" ~ event_date ~ " as varchar)") }}
{%- endmacro %}
