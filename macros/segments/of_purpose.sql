{#-
  The condition that picks, of the rows of a segment set, those of people who agree to the purpose that it declares
  (config.meta.segment_set.purpose); true for a set without one. `rows` is what the query calls the set.
-#}
{% macro of_purpose(set, rows) -%}
    {#- The parser knows no purposes yet, and has to see this call. -#}
    {%- set consents = ref('int_consents') -%}
    {%- if set.purpose -%}
    exists (
        select 1
        from {{ consents }} as consents
        where
            {{ rows }}.as_of_date = consents.as_of_date
            and {{ rows }}.user_id = consents.user_id
            and consents.purpose = '{{ set.purpose }}'
    )
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{#- The purposes that sets declare, each once. -#}
{% macro declared_purposes() %}
    {%- set found = [] -%}
    {%- for set in segment_sets() if set.purpose and set.purpose not in found -%}
        {%- do found.append(set.purpose) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}
